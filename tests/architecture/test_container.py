"""The container: the modules that `infra.server` loads, and the behaviour without local tools."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.environment import ROOT

#: The files of the repository that a container needs, as docs/architecture.md says.
SHIPPED = (
    "app.py",
    "chalicelib",
    "infra/__init__.py",
    "infra/environment.py",
    "infra/host",
    "infra/operations",
    "infra/server",
)
#: Modules that a container does not hold.
LAPTOP_ONLY = ("infra.local", "psutil", "rich")
#: Makes these modules impossible to import, as they are in a container.
WITHOUT = f"""
import sys
sys.modules.update(dict.fromkeys({LAPTOP_ONLY!r}))
"""


def run(script: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", "AWS_CONFIG_FILE": os.devnull}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)


def test_server_loads_nothing_that_a_container_lacks() -> None:
    done = run("import infra.server.__main__, infra.server.worker, sys; print(*sys.modules)")
    loaded = done.stdout.split()
    assert {"infra.server.__main__", "infra.operations.target", "granian"} <= set(loaded), done.stderr
    assert not [name for name in loaded if name.startswith(tuple(f"{one}." for one in LAPTOP_ONLY))]
    assert not set(loaded) & set(LAPTOP_ONLY)


def test_server_starts_for_a_named_stage_without_psutil() -> None:
    # A stage on AWS: the first call fails without credentials, long after the choice of the target.
    done = run(WITHOUT + "from infra.server.__main__ import main; main(['--stage', 'prod'])")
    assert (done.returncode, done.stderr) == (
        1,
        "serve: No AWS region is set. Set AWS_REGION, such as AWS_REGION=eu-central-1.\n",
    )


def test_search_for_a_local_stack_without_psutil_ends_with_a_sentence() -> None:
    done = run(WITHOUT + "from infra.server.__main__ import main; main([])")
    assert done.returncode == 1
    assert "cannot be looked for without psutil" in done.stderr
    assert "--stage" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("without", [WITHOUT, ""])
def test_taken_port_is_reported_with_and_without_psutil(without: str) -> None:
    done = run(
        without
        + "from infra.host import ports\n"
        + "taken = ports.bound(0); taken.listen(); port = taken.getsockname()[1]\n"
        + "try: ports.bound(port)\n"
        + "except ports.PortTaken as error: print(str(error).replace(str(port), 'N'))"
    )
    assert done.stdout.startswith("Port N is taken." if without else "Port N is taken by "), done.stderr


def test_requirements_of_the_container_name_no_module_of_the_laptop() -> None:
    named = (ROOT / "requirements-serve.txt").read_text() + (ROOT / "requirements.txt").read_text()
    assert not [name for name in LAPTOP_ONLY if f"\n{name}==" in named]


def test_application_and_command_line_load_from_the_shipped_files_alone(tmp_path: Path) -> None:
    for name in SHIPPED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name)
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    script = "import infra.server.__main__ as main; from infra.server import wsgi, worker\n"
    script += "print(main.__file__, len(wsgi.load(wsgi.Places(1, 1))._app.endpoints) > 30)"
    done = run(WITHOUT + script, tmp_path)
    assert done.stdout == f"{tmp_path}/infra/server/__main__.py True\n", done.stderr
