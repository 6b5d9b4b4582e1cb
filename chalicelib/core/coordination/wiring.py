"""Locks, claims, rates, counts and places of this deployment, each made once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.runtime import settings
from chalicelib.core.runtime.once import once
from chalicelib.core.stores import clients

if TYPE_CHECKING:
    from chalicelib.core.coordination.claims import Claims
    from chalicelib.core.coordination.counts import Counts
    from chalicelib.core.coordination.locks import Locks
    from chalicelib.core.coordination.places import Places
    from chalicelib.core.coordination.rates import Rates

_TABLE = "coordination"


@once
def locks() -> Locks:
    """Return the locks."""
    from chalicelib.core.coordination.locks import Locks

    return Locks(clients.table(_TABLE), settings.load(settings.CoordinationSettings))


@once
def claims() -> Claims:
    """Return the claims (idempotency records)."""
    from chalicelib.core.coordination.claims import Claims

    return Claims(clients.table(_TABLE), settings.load(settings.CoordinationSettings))


@once
def counts() -> Counts:
    """Return the exact counts."""
    from chalicelib.core.coordination.counts import Counts

    return Counts(clients.table(_TABLE))


@once
def rates() -> Rates:
    """Return the rate limits, by DynamoDB's clock."""
    from chalicelib.core.coordination.rates import Rates

    return Rates(clients.table(_TABLE), now=clients.dynamodb_clock().now)


@once
def places() -> Places:
    """Return the places of waiting requests."""
    from chalicelib.core.coordination.places import Places

    return Places(clients.mongodb().places, settings.load(settings.WaitingSettings))
