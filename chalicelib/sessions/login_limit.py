"""How often a password may be guessed: a budget per name, known or not, across all instances."""

from chalicelib import users
from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.rates import Limit
from chalicelib.sessions.errors import TooManyGuesses, WrongCredentials
from chalicelib.users import User

_FAILURES = Limit(tokens=10, period_ms=15 * 60_000)


def verify(username: str, password: str) -> User:
    """Return the user whose password this is. Of guesses at the same moment, only the budget's are looked at.

    Raises:
        WrongCredentials: for an unknown name as for a wrong password, in the same time.
        TooManyGuesses: the password was not looked at, right or wrong.
    """
    # Taken before the check and given back after it: counted only afterwards, fifty at once would all be looked at.
    budget, key = coordination.rates(), f"login/{username}"
    taken = budget.take(key, _FAILURES)
    if not taken.ok:
        raise TooManyGuesses(retry_after_seconds=-(-taken.retry_after_ms // 1000))
    user = users.check(username, password)
    if user is None:
        raise WrongCredentials
    budget.give_back(key, _FAILURES)
    return user
