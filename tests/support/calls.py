"""Which functions of `app.py` can reach a function of the library, by the names in the source.

A function reaches each function, class and constant that its body names, and what those name in turn. A class counts
with all of its methods. So the answer may be too large, and lacks no call that goes by names.
"""

import ast
from functools import cache
from pathlib import Path

from infra.environment import ROOT

_DEFINITIONS = ast.FunctionDef | ast.ClassDef


class _Module:
    """The top level of a module: its imports, and the node of each name."""

    def __init__(self, name: str, file: Path) -> None:
        self.name = name
        self.nodes: dict[str, ast.AST] = {}
        tree = ast.parse(file.read_text())
        self.imports = _imports(tree)
        for node in tree.body:
            if isinstance(node, _DEFINITIONS):
                self.nodes[node.name] = node
            elif isinstance(node, ast.Assign):
                named = (one for target in node.targets for one in ast.walk(target) if isinstance(one, ast.Name))
                self.nodes |= {one.id: node for one in named}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                self.nodes[node.target.id] = node


def _imports(tree: ast.AST) -> dict[str, str]:
    """Return the full name of each imported name, wherever the import stands."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return found


@cache
def _module(name: str) -> _Module | None:
    base = ROOT / name.replace(".", "/")
    file = next((one for one in (base.with_suffix(".py"), base / "__init__.py") if one.exists()), None)
    return _Module(name, file) if file else None


def _named(module: _Module, node: ast.AST) -> set[str]:
    """Return the full names that *node* mentions, of the module itself and of others."""
    found = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            found.add(module.imports.get(one.id, f"{module.name}.{one.id}"))
        elif isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id in module.imports:
            found.add(f"{module.imports[one.value.id]}.{one.attr}")
    return found


def reached(begin: set[str]) -> set[str]:
    """Return the full names that the functions, classes and constants *begin* reach, themselves included."""
    found: set[str] = set()
    left = list(begin)
    while left:
        name = left.pop()
        owner, _, last = name.rpartition(".")
        module = _module(owner) if owner else None
        if name in found or module is None:
            continue
        found.add(name)
        if last in module.imports:
            left.append(module.imports[last])
        elif last in module.nodes:
            left += _named(module, module.nodes[last])
    return found


def functions_of(name: str) -> set[str]:
    """Return the full names of the functions and classes of the module *name*."""
    module = _module(name)
    assert module
    return {f"{name}.{one}" for one, node in module.nodes.items() if isinstance(node, _DEFINITIONS)}


def reaching(wanted: set[str]) -> set[str]:
    """Return the functions of `app.py` from which one of the full names *wanted* is reached."""
    app = _module("app")
    assert app
    handlers = [name for name, node in app.nodes.items() if isinstance(node, ast.FunctionDef)]
    return {name for name in handlers if reached({f"app.{name}"}) & wanted}
