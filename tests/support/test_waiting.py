"""`eventually` fails with the last value or error, and lets other errors pass."""

from typing import TYPE_CHECKING

import pytest

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_eventually_returns_the_first_truthy_value() -> None:
    answers: Iterator[object] = iter([None, [], "there"])
    assert eventually(lambda: next(answers), every_seconds=0) == "there"


def test_eventually_fails_with_the_last_value() -> None:
    with pytest.raises(AssertionError, match=r"^not within 0 s; last value: {.count.: 0}$"):
        eventually(lambda: Empty(count=0), deadline_seconds=0)


def test_eventually_fails_with_the_last_retried_error_as_its_cause() -> None:
    with pytest.raises(AssertionError, match=r"last error: KeyError\('gone'\)$") as failure:
        eventually(lambda: Empty()["gone"], deadline_seconds=0, retry=KeyError)
    assert isinstance(failure.value.__cause__, KeyError)


def test_eventually_passes_other_errors_through_at_once() -> None:
    with pytest.raises(ZeroDivisionError):
        eventually(lambda: 1 / 0, retry=KeyError)


class Empty(dict[str, int]):
    """A falsy value with a visible content."""

    def __bool__(self) -> bool:
        return False
