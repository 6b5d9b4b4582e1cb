"""Imports run in one direction. import-linter checks direct and transitive imports, inside functions too.

The contracts are built from the folders, so the contracts cover a new slice as soon as its folder exists. Imports for
type checkers alone count like all others.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from tests.architecture.source import CORE, LIBRARY, ROOT, SLICES, packages, verdict

Contract = Mapping[str, str | list[str]]

#: The platform's folders and files, the highest first. `|` separates folders that must not import each other.
CORE_LAYERS = ["slice", "web", "records", "queueing", "coordination | egress", "stores", "runtime", "models", "errors"]
DRIVERS = ["boto3", "botocore", "gridfs", "pymongo"]
INFRA = sorted([*packages(ROOT / "infra"), *(path.stem for path in (ROOT / "infra").glob("[!_]*.py"))])
#: Imports that break a rule today. The list may only shrink: an entry that matches no import fails the contract.
KNOWN: dict[str, list[str]] = {}


def forbidden(sources: list[str], targets: list[str], guidance: str) -> Contract:
    return {
        "type": "forbidden",
        "source_modules": sources,
        "forbidden_modules": targets,
        "broken_contract_guidance": guidance,
    }


def contracts() -> dict[str, Contract]:
    """Return every contract by its id."""
    return {
        "house": {
            "type": "layers",
            "containers": ["chalicelib"],
            "layers": ["slices", " : ".join(SLICES), CORE],
            "exhaustive": "True",
            "broken_contract_guidance": "core imports no slice, and a slice does not import slices.py: let the slice "
            "declare in its slice.py what the platform is to be handed.",
        },
        "core": {
            "type": "layers",
            "containers": ["chalicelib.core"],
            "layers": CORE_LAYERS,
            "exhaustive": "True",
            "broken_contract_guidance": "Inside core, imports run from web down to runtime: move what both need into "
            "the lower folder, or hand it over as an argument. A new folder needs its place in CORE_LAYERS.",
        },
        "circles": {
            "type": "acyclic_siblings",
            "ancestors": ["chalicelib"],
            "broken_contract_guidance": "Two modules import each other: move what both need into one of them, or let "
            "the lower one be handed a function, as slices.py hands users what to revoke.",
        },
        **{f"slice-{name}": own_rooms(name) for name in SLICES},
        "library": forbidden(
            ["chalicelib"], ["app", "infra", "tests"], "A function is shipped with chalicelib and nothing else."
        ),
        "models": forbidden(
            ["chalicelib.**.models", "chalicelib.core.models"],
            [*DRIVERS, *(f"chalicelib.**.{room}" for room in ("api", "store", "wiring", "worker"))],
            "models.py does no I/O: move what needs a driver or a store to store.py.",
        ),
        **infra_contracts(),
    }


def infra_contracts() -> dict[str, Contract]:
    """Return the contracts of infra by their ids."""
    return {
        "infra": forbidden(["infra"], ["tests"], "Move what infra needs out of tests."),
        "server": forbidden(
            ["infra.server"], ["infra.local"], "A container has no infra/local: move what both need to infra/host."
        ),
        "host": forbidden(
            ["infra.host"],
            ["chalicelib", *(f"infra.{name}" for name in INFRA if name != "host")],
            "infra/host is below the rest of infra: hand it as an argument what it needs to know.",
        ),
    }


def own_rooms(name: str) -> Contract:
    """Return the contract that other slices import nothing of *name* but its ``__init__``."""
    return {
        "type": "protected",
        "protected_modules": [f"chalicelib.{name}.*"],
        "allowed_importers": [f"chalicelib.{name}", "chalicelib.slices", "infra"],
        "broken_contract_guidance": f"Import chalicelib.{name} and call what its __init__ offers, or raise an event.",
    }


def configuration() -> str:
    """Return all contracts as import-linter reads them."""
    text = "[importlinter]\nroot_packages =\n    chalicelib\n    infra\ninclude_external_packages = True\n"
    for name, contract in contracts().items():
        text += f"\n[importlinter:contract:{name}]\nname = {name}\n"
        ignored = {"ignore_imports": KNOWN[name]} if name in KNOWN else {}
        for option, value in {**contract, **ignored}.items():
            text += f"{option} = " + (value if isinstance(value, str) else "\n    " + "\n    ".join(value)) + "\n"
    return text


@pytest.mark.parametrize("name", contracts())
def test_contract_is_kept(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    # The call would disable this process's loggers, which other tests read.
    monkeypatch.setattr("logging.config.dictConfig", lambda _: None)
    file = tmp_path / "contracts.ini"
    file.write_text(configuration())
    code = lint_imports(config_filename=str(file), limit_to_contracts=(name,), no_cache=True, no_logo=True)
    said = capsys.readouterr().out
    verdict([said.partition("Broken contracts\n----------------\n")[2].strip() or said] if code else [])


def test_every_slice_and_core_folder_is_under_a_contract() -> None:
    assert {"approvals", "cluster", "sessions", "users"} <= set(SLICES)
    assert {f"slice-{name}" for name in SLICES} <= contracts().keys()
    layers = {name for layer in CORE_LAYERS for name in layer.split(" | ")}
    assert layers >= set(packages(LIBRARY / CORE))
