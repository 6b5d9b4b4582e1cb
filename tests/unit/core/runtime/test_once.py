"""One of each per process, however many threads ask first."""

import threading

import pytest

from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime.once import once
from tests.support.concurrency import race


def test_threads_that_ask_together_get_the_same_one_which_is_made_once() -> None:
    made: list[object] = []
    slowly = threading.Event()

    @once
    def make() -> object:
        made.append(object())
        slowly.wait(0.05)
        return made[-1]

    found = race([make] * 16)
    assert len(made) == 1
    assert {id(one) for one in found} == {id(made[0])}


def test_each_argument_has_its_own() -> None:
    @once
    def make(name: str) -> list[str]:
        return [name]

    assert make("a") is make("a")
    assert make("b") == ["b"]
    assert make.kept() == 2


def test_those_who_wait_share_what_comes_of_it() -> None:
    tried: list[int] = []
    slowly = threading.Event()

    @once
    def make() -> int:
        tried.append(1)
        slowly.wait(0.05)
        raise Unavailable

    assert [type(found) for found in race([make] * 8)] == [Unavailable] * 8
    # Whoever came after the first had failed may have tried again; nobody tried for each.
    assert len(tried) < 4


def test_what_could_not_be_made_is_tried_again() -> None:
    divisors = [0, 1]

    @once
    def make() -> int:
        return 7 // divisors.pop(0)

    with pytest.raises(ZeroDivisionError):
        make()
    assert (make(), make()) == (7, 7)


def test_what_is_made_may_ask_for_what_it_needs() -> None:
    @once
    def inner() -> int:
        return 1

    @once
    def outer() -> int:
        return inner() + 1

    assert outer() == 2


def test_it_can_be_forgotten_and_another_made_that_is_not_kept() -> None:
    make = once(object)
    first = make()
    assert make.make() is not first
    assert make() is first
    make.cache_clear()
    assert make() is not first
