"""Makes the users of chunks, of all activations in turn. Loaded by the worker alone."""

from time import monotonic

from chalicelib import users
from chalicelib.activation import address, completion, wiring
from chalicelib.activation.models import Chunk, Lead, Outcome, Settled
from chalicelib.activation.queues import ACTIVATION, MAIL, Turn
from chalicelib.core.queueing import wiring as queueing
from chalicelib.core.runtime import deadline, logs
from chalicelib.users import Enrolled

#: A claim outlives the function that took it.
_LEASE_MS = ACTIVATION.timeout_seconds * 1_000 + 2_000
#: How long one turn begins new chunks, and the time that a chunk takes with slow stores.
_TURN_SECONDS, _ENOUGH_MS = 15.0, 8_000


def turn() -> int:
    """Work on chunks until none waits or the turn is over; return how many. Wakes the workers of mails.

    Safe to repeat, and beside other turns: a chunk is claimed, its users are made by condition, and one transaction
    counts it once.

    Raises:
        Unavailable: a store is down; another turn takes the chunk over when its claim has lapsed.
    """
    until, done = monotonic() + _TURN_SECONDS, 0
    store = wiring.store()
    while monotonic() < until and deadline.allows(_ENOUGH_MS) and (chunk := store.next_chunk(_LEASE_MS)):
        work(chunk)
        if done == 0:
            queueing.sender().send(MAIL, Turn())
        done += 1
    logs.line().count("chunksSettled", done)
    completion.tell()
    if done:
        queueing.sender().send(MAIL, Turn())
        if store.has_chunks():
            queueing.sender().send(ACTIVATION, Turn())
    return done


def work(chunk: Chunk) -> bool:
    """Make the users of *chunk* and settle its leads; return False if another worker has settled the chunk."""
    read = [(lead, address.read(lead.email)) for lead in chunk.leads]
    wanted = {found.username: lead for lead, found in read if found.username}
    made = users.enrol({username: lead.made_by for username, lead in wanted.items()})
    settled = [
        _settled(lead, found.username, made[found.username], first=wanted[found.username] is lead)
        if found.username
        else Settled(lead, Outcome.FAILED, reason=found.reason)
        for lead, found in read
    ]
    return wiring.ledger().settle(chunk, settled)


def _settled(lead: Lead, username: str, account: Enrolled, *, first: bool) -> Settled:
    """Return the outcome of *lead*. Two addresses may have one username; of these, one lead is the user's."""
    if account.gone:
        return Settled(lead, Outcome.FAILED, username, reason="user-being-deleted: try again in a minute")
    if account.made and first:
        return Settled(lead, Outcome.ACTIVATED, username, account.account_id)
    return Settled(lead, Outcome.SKIPPED, username, account.account_id, reason="user-exists")
