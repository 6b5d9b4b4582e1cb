"""What is deployed, as a build step: `chalice package`, with the templates that go with it (template.py).

Nothing here touches the network unless wheels are asked for.
"""

import argparse
import contextlib
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from infra.deployment import bytecode, handout, layer, policies, template, templating, wheels
from infra.environment import ROOT
from infra.host import interpreter
from infra.host.interpreter import RUNTIME, WrongInterpreter
from infra.operations.failures import CommandFailed

#: Lambda's own limit on a function and its layers, unpacked.
MAX_UNPACKED_BYTES = 250 * 1024 * 1024
#: CloudFormation's own limits on a template that it fetches from S3, and on one that a call holds.
MAX_TEMPLATE_BYTES, MAX_GIVEN_TEMPLATE_BYTES = 1_000_000, 51_200

_NO_BYTECODE = (
    f"The package has no bytecode, as this machine has no {RUNTIME}: every cold start compiles every module anew. "
    f"Install {RUNTIME}, or name one in {interpreter.VARIABLE}."
)

_MISSING = "{folder} has no {name}. Build a package there with scripts/package --folder {folder}."

#: Chalice's names for the functions of WebSockets.
_SOCKETS = {name: f"websocket_{name}" for name in template.SOCKETS}


class Package(NamedTuple):
    """What was built. *waiting* lists method and path of every route that may hold a request.

    A package of an earlier release may have no *layer*.
    """

    code: Path
    data: dict[str, Any]
    app: dict[str, Any]
    waiting: list[tuple[str, str]]
    layer: Path | None


class PackageFailed(CommandFailed):
    """The application cannot be packaged; says what chalice or uv said."""


def build(stage: str, *, vendor: bool, folder: Path) -> Package:
    """Build *stage* into *folder*, in a process of its own, as the application must be imported afresh.

    With *vendor* the package holds its requirements, as wheels for Lambda, and bytecode if this machine has a Python of
    the runtime; a few lines are printed that say so. Without *vendor*, functions find the requirements in place.

    Raises:
        PackageFailed: the application does not import, or a requirement has no wheel.
    """
    command = [sys.executable, "-m", "infra.deployment.package", "--stage", stage, "--folder", str(folder)]
    done = subprocess.run(
        command + ["--vendor"] * vendor, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise PackageFailed(done.stderr.strip() or done.stdout.strip())
    if vendor:
        print(done.stdout, end="", flush=True)
    return load(folder)


def check_stage(stage: str) -> None:
    """Return if .chalice/config.json declares *stage*. Chalice itself would package any name, with defaults.

    Raises:
        CommandFailed: the file does not declare *stage*; the text names the declared stages.
    """
    declared = sorted(json.loads((ROOT / ".chalice/config.json").read_text())["stages"])
    if stage not in declared:
        raise CommandFailed(
            f".chalice/config.json has no stage {stage}; its stages are {', '.join(declared)}. Choose one of these, or "
            "add the stage to the file."
        )


def check_folder(stage: str, package: Package) -> None:
    """Return if *package* was built for *stage*.

    Raises:
        CommandFailed: the functions of the package were built for another stage.
    """
    functions = [one for one in package.app["Resources"].values() if one["Type"] == "AWS::Serverless::Function"]
    built = {one["Properties"]["Tags"]["aws-chalice"].split(":")[1].partition("=")[2] for one in functions}
    if built != {stage}:
        raise CommandFailed(
            f"{package.code.parent} was built for the stage {', '.join(sorted(built))}, not for {stage}."
        )


def load(folder: Path) -> Package:
    """Return what was built into *folder*.

    Raises:
        CommandFailed: *folder* has no complete package.
    """
    for name in ("app.json", "data.json", "waiting.json", "deployment.zip"):
        if not (folder / name).exists():
            raise CommandFailed(_MISSING.format(folder=folder, name=name))
    app = json.loads((folder / "app.json").read_text())
    waiting = [(method, path) for method, path in json.loads((folder / "waiting.json").read_text())]
    held = folder / layer.FILE if layer.named(app) else None
    if held and not held.exists():
        raise CommandFailed(_MISSING.format(folder=folder, name=layer.FILE))
    return Package(folder / "deployment.zip", json.loads((folder / "data.json").read_text()), app, waiting, held)


def main() -> None:
    """Build a package, as a command."""
    parser = argparse.ArgumentParser(prog="scripts/package", description="Build the Lambda package and its template.")
    parser.add_argument("--stage", default="dev", help="stage of .chalice/config.json (default: %(default)s)")
    parser.add_argument(
        "--folder", type=lambda text: Path(text).resolve(), default=ROOT / "build/package", help="where to put it"
    )
    parser.add_argument("--vendor", action=argparse.BooleanOptionalAction, default=False, help="pack the requirements")
    asked = parser.parse_args()
    check_stage(asked.stage)
    asked.folder.mkdir(parents=True, exist_ok=True)
    source = _gather(asked.folder / "source", vendor=asked.vendor)
    made = _package(source, asked.stage, asked.folder)
    code, extra = asked.folder / "deployment.zip", asked.folder / layer.FILE
    wheels.write_layer(extra, vendor=asked.vendor)
    compiler = _add_bytecode(code, extra) if asked.vendor else None
    # Lambda counts both for a function with the layer.
    size, of_layer = _unpacked(code), _unpacked(extra)
    if (both := size + of_layer) > MAX_UNPACKED_BYTES:
        limit = f"Lambda takes {MAX_UNPACKED_BYTES / 2**20:.0f}"
        raise SystemExit(f"{both / 2**20:.0f} MB unpacked, {of_layer / 2**20:.0f} of them in the layer, and {limit}")
    endpoints = _endpoints()
    waiting = [(endpoint.method, endpoint.path) for endpoint in endpoints if endpoint.waits]
    (asked.folder / "waiting.json").write_text(json.dumps(waiting))
    app = template.completed(made)
    text = template.minified(app)
    _check_template(len(text.encode()))
    (asked.folder / "app.json").write_text(text)
    _hand_out(app, asked.stage, asked.folder, content=handout.Content(asked.vendor, compiler))
    sizes = f"{size / 2**20:.1f} MB unpacked and {of_layer / 2**20:.1f} MB in the layer"
    print(f"{asked.folder}: {sizes}, {len(endpoints)} routes, {len(waiting)} of them may wait")


def _add_bytecode(code: Path, extra: Path) -> str | None:
    """Add bytecode to the package *code* and the layer *extra*; return the version of the Python that made it.

    None where this machine has no such Python; then nothing is changed.

    Raises:
        SystemExit: the named interpreter is of another version, or a module cannot be compiled.
    """
    try:
        if (python := interpreter.found(RUNTIME, os.environ)) is None:
            print(f"Warning: {_NO_BYTECODE}")
            return None
        number = bytecode.compiled(code, python) + bytecode.compiled(extra, python, layer.PLACE)
    except (WrongInterpreter, CommandFailed) as error:
        raise SystemExit(str(error)) from error
    made_by = interpreter.version(python, RUNTIME)
    print(f"{number} files of bytecode, made by {python} ({made_by})")
    return made_by


def _hand_out(app: dict[str, Any], stage: str, folder: Path, *, content: handout.Content) -> None:
    """Write what belongs to the *app* template: the data template, a deployer's rights, and the steps in README.txt."""
    data = template.resources(templating.functions(app))
    (folder / "data.json").write_text(template.minified(data))
    (folder / "deployer.json").write_text(json.dumps(policies.deployer(stage), indent=1))
    outputs = [name for name in app["Parameters"] if name in data["Outputs"]]
    (folder / "README.txt").write_text(handout.text(stage, outputs, content))


def _check_template(size_bytes: int) -> None:
    """Print a warning where the app template is over half of CloudFormation's limit.

    Raises:
        SystemExit: the template is over the limit; the text says what to do.
    """
    figures = f"The app template has {size_bytes:,} bytes, and CloudFormation takes {MAX_TEMPLATE_BYTES:,}."
    advice = "Put routes of one thing under one path, or move slices to an app stack with an API of its own."
    if size_bytes > MAX_TEMPLATE_BYTES:
        raise SystemExit(f"{figures} {advice}")
    if size_bytes > MAX_TEMPLATE_BYTES / 2:
        print(f"Warning: {figures} {advice}")


def _gather(source: Path, *, vendor: bool) -> Path:
    """Copy what is packaged into *source*. An empty requirements.txt keeps chalice from fetching by itself."""
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    without = shutil.ignore_patterns("__pycache__", "deployed", "deployments")
    shutil.copy(ROOT / "app.py", source)
    shutil.copytree(ROOT / "chalicelib", source / "chalicelib", ignore=without)
    shutil.copytree(ROOT / ".chalice", source / ".chalice", ignore=without)
    (source / "requirements.txt").touch()
    if vendor:
        shutil.copytree(wheels.of_package(), source / "vendor", ignore=without)
    return source


def _package(source: Path, stage: str, folder: Path) -> dict[str, Any]:
    # Chalice wants a region even where nothing of it ends up in the template.
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    from chalice.cli import cli  # noqa: PLC0415 # half a second that --help can do without

    with _inside(source), contextlib.redirect_stdout(io.StringIO()):
        _add_policies(source / ".chalice")
        cli(["package", "--stage", stage, "--template-format", "json", str(folder)], obj={}, standalone_mode=False)
    made: dict[str, Any] = json.loads((folder / "sam.json").read_text())
    return made


def _add_policies(folder: Path) -> None:
    """Write each function's policy where chalice looks for it."""
    # Imported here as chalice will import it: from the folder that is packaged.
    application = importlib.import_module("app").app
    config, rights = json.loads((folder / "config.json").read_text()), policies.declared()
    (folder / "policies").mkdir()
    sources = [*application.event_sources, *application.websocket_handlers.values(), *application.pure_lambda_functions]
    # Chalice has names of its own for the functions of routes and of WebSockets.
    names = {"api_handler": "api"} | {_SOCKETS.get(source.name, source.name): source.name for source in sources}
    for name, function in names.items():
        (folder / f"policies/{function}.json").write_text(json.dumps(policies.policy(function, rights)))
        own = config.setdefault("lambda_functions", {}).setdefault(name, {})
        own["iam_policy_file"] = f"policies/{function}.json"
    (folder / "config.json").write_text(json.dumps(config))


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    with contextlib.chdir(folder):
        sys.path.insert(0, str(folder))
        yield


def _endpoints() -> list[Any]:
    """Return the routes of the application that chalice has just imported."""
    found: list[Any] = sys.modules["app"].app.endpoints
    return found


def _unpacked(code: Path) -> int:
    with zipfile.ZipFile(code) as package:
        return sum(entry.file_size for entry in package.infolist())


if __name__ == "__main__":
    main()
