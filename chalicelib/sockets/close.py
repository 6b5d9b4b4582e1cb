"""Closes connections whose session ended or whose user changed.

The store forgets a connection first: from then on no push reaches the connection and no frame of it is handled. Then
the gateway closes the connection, if the gateway can be reached.
"""

from collections.abc import Sequence

from chalicelib import sessions
from chalicelib.core.errors import ServiceError
from chalicelib.core.runtime import logs
from chalicelib.sockets import wiring


def close(connection_ids: Sequence[str]) -> None:
    """Close the connections. Safe to repeat.

    Raises:
        Unavailable: MongoDB cannot be reached; nothing was closed.
    """
    if not connection_ids:
        return
    wiring.store().remove(connection_ids)
    for connection_id in connection_ids:
        _close(connection_id)


def revoke(username: str, epoch: str | None) -> None:
    """Close the connections of *username*, except those opened under *epoch*. Safe to repeat.

    Raises:
        Unavailable: MongoDB cannot be reached.
    """
    held = wiring.store().of_user(username)
    close([each.connection_id for each in held if epoch is None or each.caller.epoch != epoch])


def ended(username: str) -> None:
    """Close the connections of *username* whose session has ended. Never raises: the sweep closes the rest."""
    try:
        close_invalid(username)
    except ServiceError as error:
        logs.logger().warning(str(error), extra={"action": "close_failed"})


def close_invalid(username: str | None = None) -> int:
    """Close the connections, all or those of *username*, whose session or key is no longer valid. Return how many.

    Raises:
        Unavailable: a store cannot be reached.
    """
    held = wiring.store().of_user(username) if username else wiring.store().all()
    valid = sessions.valid([each.caller for each in held])
    invalid = [each.connection_id for each, is_valid in zip(held, valid, strict=True) if not is_valid]
    close(invalid)
    return len(invalid)


def _close(connection_id: str) -> None:
    """Let the gateway close the connection. Never raises: a frame of a forgotten connection closes it, too."""
    if not wiring.reachable():
        return
    try:
        wiring.gateway().close(connection_id)
    except ServiceError as error:
        logs.logger().warning(str(error), extra={"action": "close_failed"})
