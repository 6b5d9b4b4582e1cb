"""`once`: one value per process and argument, also under concurrent first calls."""

import threading

import pytest

from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime.once import once
from tests.support.concurrency import race


def test_concurrent_first_calls_share_one_value() -> None:
    made: list[object] = []
    slowly = threading.Event()

    @once
    def make() -> object:
        made.append(object())
        slowly.wait(0.05)
        return made[-1]

    found = race([make] * 16)
    assert len(made) == 1
    assert {id(value) for value in found} == {id(made[0])}


def test_each_argument_has_its_own_value() -> None:
    @once
    def make(name: str) -> list[str]:
        return [name]

    assert make("a") is make("a")
    assert make("b") == ["b"]
    assert make.kept() == 2


def test_concurrent_callers_share_the_exception() -> None:
    tried: list[int] = []
    slowly = threading.Event()

    @once
    def make() -> int:
        tried.append(1)
        slowly.wait(0.05)
        raise Unavailable

    assert [type(found) for found in race([make] * 8)] == [Unavailable] * 8
    # A thread that came after the failure may have tried again; eight tries would mean that nobody waited.
    assert len(tried) < 4


def test_failure_is_not_cached() -> None:
    divisors = [0, 1]

    @once
    def make() -> int:
        return 7 // divisors.pop(0)

    with pytest.raises(ZeroDivisionError):
        make()
    assert (make(), make()) == (7, 7)


def test_memoized_function_may_call_another_memoized_function() -> None:
    @once
    def inner() -> int:
        return 1

    @once
    def outer() -> int:
        return inner() + 1

    assert outer() == 2


def test_value_can_be_cleared_or_made_without_caching() -> None:
    make = once(object)
    first = make()
    assert make.make() is not first
    assert make() is first
    make.cache_clear()
    assert make() is not first
