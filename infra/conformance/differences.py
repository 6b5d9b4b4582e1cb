"""The known differences between LocalStack 4.14.0 and AWS, or the emulator of ``scripts/up``: each with its cause.

docs/local.md has the same list as a table; a test compares both.
"""

from __future__ import annotations

from typing import NamedTuple

#: The folder of the tests.
TESTS = "tests/integration"


class Difference(NamedTuple):
    """One difference, its cause, and the tests that it concerns: a file, or a file and a test's name.

    The tests of a difference that is *hopeless* are left out, as they would wait in vain or test something else. All
    others have to fail: a test that passes is no difference any more.
    """

    what: str
    cause: str
    tests: tuple[str, ...]
    hopeless: bool = False

    @property
    def concerned(self) -> str:
        """The tests as docs/local.md lists them."""
        return ", ".join(f"`{test}`" for test in self.tests)


DIFFERENCES: tuple[Difference, ...] = ()
