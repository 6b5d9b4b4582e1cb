"""Every error for callers has a docstring: the default detail."""

import importlib
import inspect
from collections.abc import Iterator

from chalicelib.core.errors import ServiceError
from tests.architecture.source import MODULES, place, verdict


def test_every_service_error_has_a_docstring_of_its_own() -> None:
    verdict(
        f"{place(MODULES[error.__module__])}: {error.__name__} has no docstring: say what went wrong, in one line"
        for error in errors()
        if not error.__dict__.get("__doc__")
    )


def test_the_rule_covers_errors_of_core_and_slices() -> None:
    assert {"Conflict", "TooManyGuesses"} <= {error.__name__ for error in errors()}


def errors() -> Iterator[type[ServiceError]]:
    for name in MODULES:
        for found in vars(importlib.import_module(name)).values():
            if inspect.isclass(found) and issubclass(found, ServiceError) and found.__module__ == name:
                yield found
