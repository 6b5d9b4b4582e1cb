"""Sets the password of the user of a mailed link, and limits invalid links by source address."""

from chalicelib.core.coordination import wiring as coordination
from chalicelib.core.coordination.rates import Limit
from chalicelib.core.web.source import Address, network_of
from chalicelib.users import passwords, wiring
from chalicelib.users.errors import TooManyLinks
from chalicelib.users.revocation import revoke

_PERIOD_MS = 15 * 60_000


def set_password(token: str, password: str, source: Address | None) -> None:
    """Set *password* for the user of *token*, and end the token and the user's sessions.

    Raises:
        LinkInvalid: the token is wrong or used, or its time is over. The password was not hashed.
        TooManyLinks: the address has used up its invalid links. The token was not checked.
    """
    key = f"password-from/{network_of(source) if source else 'unknown'}"
    limit, rates = Limit(wiring.options().failures_per_address, _PERIOD_MS), coordination.rates()
    # Taken before the check: concurrent calls would all be checked otherwise.
    taken = rates.take(key, limit)
    if not taken.ok:
        raise TooManyLinks(retry_after_seconds=-(-taken.retry_after_ms // 1000))
    # A hash costs a good part of a tenth of a second, so only a valid link is worth one.
    links = wiring.links()
    links.find(token)
    user = links.use(token, passwords.hashed(password))
    rates.give_back(key, limit)
    revoke(user)
