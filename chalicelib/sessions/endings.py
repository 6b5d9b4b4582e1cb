"""Tells other slices that sessions of a user were ended, by sign-out or by an administrator.

Users' revocation, for changed and deleted users, has a way of its own (`Slice.revoke`).
"""

from collections.abc import Iterable

from chalicelib.core.slice import Ended

_hooks: list[Ended] = []


def declare(hooks: Iterable[Ended]) -> None:
    """Register the slices' functions. `chalicelib.slices` calls this once, when assembling the application."""
    _hooks.extend(hooks)


def tell(username: str) -> None:
    """Call every function for *username*. Never raises."""
    for hook in _hooks:
        hook(username)
