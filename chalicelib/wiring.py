"""The only place that makes clients and stores: one of each per process, made when first asked for.

Imports stand inside the functions, so that a cold function loads only the drivers its first request needs.
"""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any, Literal

from chalicelib.core.runtime import ids, logs, settings
from chalicelib.core.runtime.once import once

if TYPE_CHECKING:
    from pymongo.database import Database

    from chalicelib.applications.store import ApplicationStore
    from chalicelib.approvals.store import ApprovalStore
    from chalicelib.approvals.wait import Waiter
    from chalicelib.core.coordination.claims import Claims
    from chalicelib.core.coordination.counts import Counts
    from chalicelib.core.coordination.locks import Locks
    from chalicelib.core.coordination.rates import Rates
    from chalicelib.core.queueing.queues import Mail
    from chalicelib.core.records.events import Subscription
    from chalicelib.core.records.history import History
    from chalicelib.core.records.models import Kind
    from chalicelib.core.records.project import Projector
    from chalicelib.core.records.store import Records
    from chalicelib.core.records.view import View
    from chalicelib.core.stores.dynamodb import Table
    from chalicelib.core.web.paging import Cursors
    from chalicelib.devices.fcm import Fcm
    from chalicelib.devices.store import DeviceStore
    from chalicelib.ledger.store import LedgerStore
    from chalicelib.sessions.store import SessionStore, TicketStore
    from chalicelib.users.store import UserStore


@once
def mongodb() -> Database[dict[str, Any]]:
    """Return the database. No write is acknowledged before a majority has it."""
    from pymongo import MongoClient

    options = settings.load().mongo
    uri = options.uri.get_secret_value() if options.uri else secret("mongodbUri")
    client: MongoClient[dict[str, Any]] = MongoClient(
        uri,
        appname=f"holdfast-{ids.INSTANCE_ID}",
        event_listeners=[logs.RoundTrips()],
        maxPoolSize=options.max_pool_size,
        serverSelectionTimeoutMS=options.selection_timeout_ms,
        connectTimeoutMS=options.selection_timeout_ms,
        timeoutMS=options.operation_timeout_ms,
        tz_aware=True,
        w="majority",
    )
    return client[options.database]


#: The services a function may talk to; the package ships botocore's descriptions of these and no others.
Service = Literal["dynamodb", "secretsmanager", "sqs"]


@once
def aws(service: Service) -> Any:
    """Return a client of an AWS *service*; the endpoint and the credentials come from the environment."""
    import botocore.session
    from botocore.config import Config

    options = settings.load().aws
    client = botocore.session.get_session().create_client(
        service,
        region_name=settings.environment().get("AWS_REGION"),
        config=Config(
            connect_timeout=options.connect_timeout_seconds,
            read_timeout=options.read_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": options.max_attempts},
            max_pool_connections=options.max_connections,
            # botocore composes its own anew for every call, which takes a seventh of the call's CPU time.
            user_agent=f"holdfast/{settings.load().holdfast.version}",
        ),
    )
    client.meta.events.register(f"before-call.{service}", logs.count_round_trip)
    return client


@once
def secret(name: str) -> str:
    """Return the secret *name* from this deployment's Secrets Manager entry."""
    return str(_secrets()[name])


@once
def signing_key(purpose: str) -> bytes:
    """Return this deployment's key for one *purpose*: what is signed for one is worth nothing for another."""
    own = settings.load().holdfast.signing_key
    key = own.get_secret_value() if own else secret("signingKey")
    return hmac.digest(key.encode(), purpose.encode(), "sha256")


@once
def cursors() -> Cursors:
    """Return what seals and opens the cursors of lists."""
    from chalicelib.core.web.paging import Cursors

    return Cursors(lambda: signing_key("cursors").hex())


@once
def users() -> UserStore:
    """Return the store of users."""
    from chalicelib.users.store import UserStore

    return UserStore(table("users"))


@once
def sessions() -> SessionStore:
    """Return the store of sessions."""
    from chalicelib.sessions.store import SessionStore

    return SessionStore(mongodb().sessions, settings.load().sessions)


@once
def tickets() -> TicketStore:
    """Return the store of tickets."""
    from chalicelib.sessions.store import TicketStore

    return TicketStore(mongodb().tickets)


@once
def approvals() -> ApprovalStore:
    """Return the store of approvals."""
    from chalicelib.approvals.store import ApprovalStore

    return ApprovalStore(mongodb().approvals, settings.load().approvals)


@once
def waiter() -> Waiter:
    """Return how this process waits for an approval: a function holds one caller, and looks again and again."""
    from chalicelib.approvals.wait import Polling

    return Polling(approvals(), settings.load().approvals)


@once
def devices() -> DeviceStore:
    """Return the store of devices."""
    from chalicelib.devices.store import DeviceStore

    return DeviceStore(mongodb().devices, settings.load().devices)


@once
def fcm() -> Fcm | None:
    """Return the way to FCM, or None where this deployment has no service account."""
    from chalicelib.devices.fcm import Fcm

    options = settings.load().fcm
    own = options.service_account
    account = own.get_secret_value() if own else _optional_secret("fcmServiceAccount")
    return Fcm(options, account) if account else None


@once
def kinds() -> dict[str, Kind]:
    """Return every kind of record, by its name."""
    from chalicelib.applications.search import KIND as APPLICATION

    return {kind.name: kind for kind in (APPLICATION,)}


@once
def view() -> View:
    """Return the copies of records that lists read."""
    from chalicelib.core.records.view import View

    return View(mongodb, kinds(), settings.load().records)


@once
def records() -> Records:
    """Return the records, each write of which shows itself in the view at once."""
    from chalicelib.core.records.store import Records

    return Records(table("records"), lambda changed: view().early(changed))


@once
def applications() -> ApplicationStore:
    """Return what lists of applications are made from."""
    from chalicelib.applications.store import ApplicationStore
    from chalicelib.core.records.count_cache import Totals

    return ApplicationStore(view().of("application"), Totals(settings.load().records.totals_kept_ms))


@once
def ledger() -> LedgerStore:
    """Return the ledger."""
    from chalicelib.ledger.store import LedgerStore

    return LedgerStore(table("ledger"))


@once
def history() -> History:
    """Return every version of every record."""
    from chalicelib.core.records.history import History

    return History(table("history"), settings.load().records.kept_versions)


def subscriptions() -> tuple[Subscription, ...]:
    """Return who is told of every version of a record: what a slice declares is named here."""
    return ()


@once
def projector() -> Projector:
    """Return what carries records from the stream to all that follow them."""
    from chalicelib.core.records.project import Projector

    return Projector(view(), history(), subscriptions(), mail())


@once
def table(name: str) -> Table:
    """Return the DynamoDB table *name* of this stage."""
    from chalicelib.core.stores.dynamodb import Table

    return Table(aws("dynamodb"), f"holdfast-{settings.load().holdfast.stage}-{name}")


@once
def locks() -> Locks:
    """Return the locks."""
    from chalicelib.core.coordination.locks import Locks

    return Locks(table("coordination"), settings.load().coordination)


@once
def claims() -> Claims:
    """Return the claims on work."""
    from chalicelib.core.coordination.claims import Claims

    return Claims(table("coordination"), settings.load().coordination)


@once
def counts() -> Counts:
    """Return the exact counts."""
    from chalicelib.core.coordination.counts import Counts

    return Counts(table("coordination"))


@once
def mail() -> Mail:
    """Return what sends to queues."""
    from chalicelib.core.queueing.queues import Mail

    return Mail(aws("sqs"), settings.load().queues.url_prefix)


@once
def rates() -> Rates:
    """Return the rates."""
    from chalicelib.core.coordination.rates import Rates

    return Rates(table("coordination"))


def _optional_secret(name: str) -> str | None:
    if settings.load().holdfast.secret_id is None:
        return None
    found: Any = _secrets().get(name)
    # What is JSON itself may have been put into the secret's JSON as it was.
    return found if found is None or isinstance(found, str) else json.dumps(found)


@once
def _secrets() -> dict[str, str]:
    from chalicelib.core.stores.driver_errors import reaching_aws

    entry = settings.load().holdfast.secret_id
    with reaching_aws():
        answer = aws("secretsmanager").get_secret_value(SecretId=entry)
    found: dict[str, str] = json.loads(answer["SecretString"])
    return found
