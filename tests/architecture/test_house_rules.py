"""How the house is built, read from the code itself: who may import whom, who makes clients, what everything says."""

import ast
import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib import slices
from chalicelib.core.errors import ServiceError

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "chalicelib"
DRIVERS = frozenset({"boto3", "botocore", "gridfs", "pymongo"})
#: What makes a client of a store or a service.
MAKERS = frozenset({"client", "create_client", "MongoClient", "resource", "Session", "get_session"})
ROOMS = frozenset({"store", "api"})
LONGEST_MODULE = 300


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(LIBRARY.rglob("*.py"))}
PACKAGES = {name.split(".")[1] for name, path in MODULES.items() if name.count(".") and path.parent != LIBRARY}
PLATFORM = "core"
SLICES = PACKAGES - {PLATFORM}
SHARED = {name.split(".")[1] for name, path in MODULES.items() if path.parent == LIBRARY and name.count(".")}
#: Every Python file that is ours.
OURS = [*MODULES.values(), ROOT / "app.py", *sorted((ROOT / "infra").rglob("*.py"))]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: Path, *, run: bool = False) -> Iterator[str]:
    """Yield the dotted name of everything that *path* imports; with *run*, save what only type checkers import."""
    for node in _run(tree(path)) if run else ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            yield from (_imported(node.module or "", alias.name) for alias in node.names)


def _imported(module: str, name: str) -> str:
    """Return the module that an import reaches: of ``from a.b import c``, `a.b.c` where that is one, else `a.b`."""
    return f"{module}.{name}" if f"{module}.{name}" in MODULES else module


def _run(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield from _run(child)


def home(module: str) -> str:
    """Return the slice or shared module that *module* belongs to, "" outside the library."""
    root, _, rest = module.partition(".")
    return rest.partition(".")[0] if root == "chalicelib" else ""


# --- imports run one way


def test_the_rules_see_the_code() -> None:
    assert {"approvals", "sessions", "users", "cluster"} <= SLICES
    assert {"slices"} == SHARED
    assert not SLICES & SHARED
    assert "chalicelib.approvals.store" in set(imports(LIBRARY / "approvals/api.py")) | set(
        imports(LIBRARY / "approvals/wait.py")
    )


@pytest.mark.parametrize("module", [name for name in MODULES if home(name) in SLICES])
def test_no_slice_imports_another_slices_store_or_api(module: str) -> None:
    own = home(module)
    others = [name for name in imports(MODULES[module]) if home(name) in SLICES - {own}]
    wrong = [name for name in others if ROOMS & set(name.split(".")[2:])]
    assert not wrong, f"{module} reaches into another slice: ask through what its __init__ names"


@pytest.mark.parametrize("module", [name for name in MODULES if home(name) == PLATFORM])
def test_the_platform_knows_no_slice(module: str) -> None:
    assert not [name for name in imports(MODULES[module], run=True) if home(name) in SLICES]


@pytest.mark.parametrize("module", MODULES)
def test_nothing_in_the_library_imports_the_application_or_the_infrastructure(module: str) -> None:
    assert not {name.partition(".")[0] for name in imports(MODULES[module])} & {"app", "infra", "tests"}


@pytest.mark.parametrize("module", [name for name in MODULES if name.endswith(".models")])
def test_models_import_no_driver_and_no_wiring(module: str) -> None:
    found = set(imports(MODULES[module]))
    assert not {name.partition(".")[0] for name in found} & DRIVERS
    assert not [name for name in found if name.split(".")[-1] in ROOMS | {"wiring", "worker"}]


# --- one place makes clients


@pytest.mark.parametrize("module", [name for name in MODULES if name != "chalicelib.core.stores.clients"])
def test_only_clients_makes_clients(module: str) -> None:
    path = MODULES[module]
    drivers = {name.partition(".")[0] for name in imports(path)} & DRIVERS
    made = [
        ast.unparse(node.func)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in MAKERS
    ]
    assert not (drivers and made), f"{module} makes {made}"
    assert "boto3" not in drivers


@pytest.mark.parametrize("module", [name for name in MODULES if name != "chalicelib.core.runtime.settings"])
def test_only_settings_read_the_environment(module: str) -> None:
    text = MODULES[module].read_text()
    assert "os.environ" not in text
    assert "getenv" not in text


# --- everything can be imported and says what it is


@pytest.fixture(scope="module")
def imported_bare() -> dict[str, str]:
    """What became of importing each module, in one process whose environment is empty."""
    script = (
        "import importlib, os, sys\n"
        "for name in sys.stdin.read().split():\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "        print(name, 'ok')\n"
        "    except BaseException as error:\n"
        "        print(name, repr(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input="\n".join([*MODULES, "app"]),
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("module", [*MODULES, "app"])
def test_a_module_is_imported_with_an_empty_environment(imported_bare: dict[str, str], module: str) -> None:
    assert imported_bare[module] == "ok"


def test_importing_the_application_makes_no_client_and_reads_no_settings() -> None:
    script = (
        "import app\n"
        "from chalicelib.core.runtime import once, settings\n"
        "assert once._every and not once.kept(), once.kept()\n"
        "assert settings.sections() and not settings._loaded\n"
    )
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_owns_and_fits_in_one_sitting(path: Path) -> None:
    assert ast.get_docstring(tree(path)), "no docstring"
    assert len(path.read_text().splitlines()) < LONGEST_MODULE


def _errors() -> list[type[ServiceError]]:
    found = {
        one
        for name in MODULES
        for one in vars(importlib.import_module(name)).values()
        if inspect.isclass(one) and issubclass(one, ServiceError)
    }
    return sorted(found, key=lambda one: one.__name__)


@pytest.mark.parametrize("error", _errors(), ids=lambda error: error.__name__)
def test_an_error_has_a_docstring_of_its_own(error: type[ServiceError]) -> None:
    assert error.__dict__.get("__doc__")


# --- maps


FOLDERS = sorted({str(path.parent.relative_to(LIBRARY)) for path in MODULES.values()} - {"."})


@pytest.mark.parametrize("package", FOLDERS)
def test_a_packages_map_lists_exactly_what_is_in_it(package: str) -> None:
    folder = LIBRARY / package
    files = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    assert _listed(folder / "__init__.py") == files | folders


def test_the_librarys_map_lists_what_is_no_slice_and_the_list_of_slices_the_rest() -> None:
    files = {path.name for path in LIBRARY.glob("*.py")} - {"__init__.py"}
    assert _listed(LIBRARY / "__init__.py") == files | {f"{PLATFORM}/"}
    assert {slice_.name for slice_ in slices.SLICES} == SLICES


INFRA_FOLDERS = sorted({str(path.parent.relative_to(ROOT)) for path in (ROOT / "infra").rglob("*.py")})


@pytest.mark.parametrize("package", INFRA_FOLDERS)
def test_a_map_of_the_infrastructure_lists_exactly_what_is_there(package: str) -> None:
    folder = ROOT / package
    files = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    assert _listed(folder / "__init__.py") == (files | folders) - {"__main__.py"}


def _listed(path: Path) -> set[str]:
    """Return the names that open the lines of a map."""
    lines = (ast.get_docstring(tree(path)) or "").splitlines()
    words = [line.split()[0] for line in lines if line.strip() and not line.startswith(" ")]
    return {word for word in words if word.endswith((".py", "/"))} - {"__main__.py"}
