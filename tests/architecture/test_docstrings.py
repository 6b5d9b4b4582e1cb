"""Every module, public function and public class has a docstring."""

import ast
from collections.abc import Iterator

from tests.architecture.source import SHIPPED_OR_RUN, place, tree, verdict


def test_every_module_has_a_docstring() -> None:
    verdict(
        f"{place(path)} has no docstring: open it with what it owns"
        for path in SHIPPED_OR_RUN
        if not ast.get_docstring(tree(path))
    )


def test_every_public_function_and_class_has_a_docstring() -> None:
    verdict(
        f"{place(path)}: {name} has no docstring: state its promise (guarantees, units, errors)"
        for path in SHIPPED_OR_RUN
        for name in silent(tree(path).body)
    )


def silent(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Yield every public function and class in *body* without a docstring, methods of public classes too."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from silent(node.body, f"{prefix}{node.name}.")
