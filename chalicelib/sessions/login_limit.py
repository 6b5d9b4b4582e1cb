"""Limits guesses of a password: a budget of failures per username, known or unknown, across all instances."""

from chalicelib import users
from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.rates import Limit
from chalicelib.sessions.errors import TooManyGuesses, WrongCredentials
from chalicelib.users import User

_FAILURES = Limit(tokens=10, period_ms=15 * 60_000)


def verify(username: str, password: str) -> User:
    """Return the user if *password* is right. Of concurrent guesses, only as many as the budget allows are checked.

    Raises:
        WrongCredentials: for an unknown name as for a wrong password, in the same time.
        TooManyGuesses: the budget is used up; the password was not checked, right or wrong.
    """
    # Taken before the check and given back after a success: counted only afterwards, fifty concurrent guesses would all
    # be checked.
    budget, key = coordination.rates(), f"login/{username}"
    taken = budget.take(key, _FAILURES)
    if not taken.ok:
        raise TooManyGuesses(retry_after_seconds=-(-taken.retry_after_ms // 1000))
    user = users.check(username, password)
    if user is None:
        raise WrongCredentials
    budget.give_back(key, _FAILURES)
    return user
