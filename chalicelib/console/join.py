"""Joins the modules of a folder into one script, so that a visit costs one request instead of one for each module.

The sources stay standard modules, which a browser or a bundler can load unchanged. Joining knows imports of names,
declarations with ``export`` (const, function, async function, class), and nothing else of the module syntax. Modules of
``vendor/`` are not joined: their imports stay, under the names that the caller gives. Comments are left out: they are a
quarter of the bytes. So no line of a template begins with ``//``, and no text has ``/**``. No I/O but reading sources.
"""

import re
from collections.abc import Mapping
from pathlib import Path

_IMPORT = re.compile(r'^import \{([^}]*)\} from "([^"\n]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|class|function|async function) (\w+))", re.MULTILINE)
#: Module syntax that is left after imports and exports have been replaced.
_UNKNOWN = re.compile(r"^(?:import|export)\b.*|^.*\bimport\(.*", re.MULTILINE)
#: Lines and blocks of comments, and types within a line.
_COMMENT = re.compile(
    r"^[ \t]*//.*\n|^[ \t]*/\*\*(?:(?!\*/)[\s\S])*\*/[ \t]*\n|/\*\*(?:(?!\*/)[\s\S])*\*/ ?",
    re.MULTILINE,
)
VENDOR = "vendor"


class CannotJoin(Exception):
    """A module uses syntax that joining does not know, or modules import each other in a circle; says where."""


def join(folder: Path, entry: str, vendored: Mapping[str, str]) -> str:
    """Return the module *entry* of *folder*, and every module that *entry* needs, as one module.

    *vendored* has the file name in the browser of each module in ``vendor/``.

    Raises:
        CannotJoin: see there.
    """
    return _Joined(folder, vendored).script(entry)


class _Joined:
    """The modules joined so far. Each is a function that runs once and returns its exports."""

    def __init__(self, folder: Path, vendored: Mapping[str, str]) -> None:
        self._folder, self._vendored = folder.resolve(), vendored
        self._names: dict[Path, str] = {}
        self._parts: list[str] = []
        self._imports: list[str] = []

    def script(self, entry: str) -> str:
        """Return the whole script."""
        self._add(self._folder / entry, ())
        return "\n".join([*self._imports, *self._parts])

    def _add(self, path: Path, importers: tuple[Path, ...]) -> str:
        """Add the module *path* after the modules that it imports; return the variable of its exports."""
        if path in importers:
            raise CannotJoin(f"{self._place(path)} imports itself, by {self._place(importers[-1])}")
        if path in self._names:
            return self._names[path]
        if path.parent == self._folder / VENDOR:
            return self._add_vendored(path)
        source = _COMMENT.sub("", path.read_text(encoding="utf-8"))
        body = _IMPORT.sub(lambda found: self._import(found, path, importers), source)
        exported = [str(found[1]) for found in _EXPORT.finditer(body)]
        body = _EXPORT.sub("", body)
        if left := _UNKNOWN.search(body):
            raise CannotJoin(f"{self._place(path)}: cannot join {left[0].strip()!r}")
        return self._define(path, f"(() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})()")

    def _add_vendored(self, path: Path) -> str:
        name = self._names[path] = f"m{len(self._names)}"
        self._imports.append(f'import * as {name} from "./{self._vendored[path.name]}";')
        return name

    def _define(self, path: Path, expression: str) -> str:
        name = self._names[path] = f"m{len(self._names)}"
        self._parts.append(f"// {self._place(path)}\nconst {name} = {expression};")
        return name

    def _import(self, found: re.Match[str], path: Path, importers: tuple[Path, ...]) -> str:
        name = self._add((path.parent / found[2]).resolve(), (*importers, path))
        return f"const {{{found[1].replace(' as ', ': ')}}} = {name};"

    def _place(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()
