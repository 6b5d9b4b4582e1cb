"""Limits guesses of a password, across all instances: a budget of failures per source address, and one per username.

A process also checks only so many passwords at the same time: a check takes a core for a good part of a tenth of a
second, which all other requests of the process would wait for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from chalicelib import users
from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.rates import Limit
from chalicelib.core.errors import TooMany
from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.web.source import Address, network_of
from chalicelib.sessions.errors import ManySignIn, TooManyFailures, TooManyGuesses, WrongCredentials
from chalicelib.sessions.refusals import Refusals
from chalicelib.sessions.settings import LoginSettings
from chalicelib.users import User

_PERIOD_MS = 15 * 60_000
_FAILURES = Limit(tokens=10, period_ms=_PERIOD_MS)


def verify(username: str, password: str, source: Address | None) -> User:
    """Return the user if *password* is right. Of concurrent guesses, only as many as the budgets allow are checked.

    Raises:
        WrongCredentials: for an unknown name as for a wrong password, in the same time.
        TooManyFailures, TooManyGuesses: the budget of the address, or of the name, is used up. The password was not
            checked, right or wrong.
        ManySignIn: the process checks as many passwords as it may. The budgets are unchanged.
    """
    address = f"login-from/{network_of(source) if source else 'unknown'}"
    # A refused address, or a login without a place for its check, costs the stores nothing.
    if waits_ms := _refusals().remaining_ms(address):
        raise TooManyFailures(retry_after_seconds=_seconds(waits_ms))
    with _check():
        pass
    by_address = Limit(settings.load(LoginSettings).failures_per_address, _PERIOD_MS)
    # The address comes first: a flood from one address then takes no token of a name, and no place for a check.
    with _budget(address, by_address, TooManyFailures):
        with _check(), _budget(f"login/{username}", _FAILURES, TooManyGuesses):
            user = users.check(username, password)
            if user is None:
                raise WrongCredentials
        return user


@contextmanager
def _budget(key: str, limit: Limit, refusal: type[TooMany]) -> Iterator[None]:
    """Take a token for the block, and give the token back unless the password was wrong."""
    # Taken before the check: counted only afterwards, fifty concurrent guesses would all be checked.
    budget = coordination.rates()
    taken = budget.take(key, limit)
    if not taken.ok:
        if refusal is TooManyFailures:
            _refusals().add(key, taken.retry_after_ms)
        raise refusal(retry_after_seconds=_seconds(taken.retry_after_ms))
    try:
        yield
    except (TooMany, ManySignIn):
        budget.give_back(key, limit)
        raise
    budget.give_back(key, limit)


@contextmanager
def _check() -> Iterator[None]:
    if not _checks().acquire(blocking=False):
        raise ManySignIn(retry_after_seconds=1)
    try:
        yield
    finally:
        _checks().release()


def _seconds(ms: int) -> int:
    return -(-ms // 1000)


@once
def _refusals() -> Refusals:
    return Refusals()


@once
def _checks() -> BoundedSemaphore:
    return BoundedSemaphore(settings.load(LoginSettings).checks_at_once)
