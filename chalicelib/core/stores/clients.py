"""Clients of the stores: one of each per process, made on first use. Other modules make no clients.

Imports stand inside the functions, so that a cold start loads only the drivers that the first request needs.
"""

from __future__ import annotations

import hmac
import json
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from chalicelib.core.runtime import ids, logs, settings
from chalicelib.core.runtime.once import once

if TYPE_CHECKING:
    from pymongo.database import Database

    from chalicelib.core.stores.dates import ServerClock
    from chalicelib.core.stores.dynamodb import Table
    from chalicelib.core.stores.sorted import SortedTable

#: The services that a function may call; the package ships botocore's descriptions of these services alone.
Service = Literal["apigatewaymanagementapi", "dynamodb", "secretsmanager", "ses", "sqs"]


@once
def mongodb() -> Database[dict[str, Any]]:
    """Return this deployment's database, as `binding.choose` says. A majority acknowledges each write."""
    from pymongo import MongoClient

    from chalicelib.core.stores import binding, driver_errors
    from chalicelib.core.stores.round_trips import RoundTrips

    options = settings.load(settings.MongoSettings)
    uri = options.uri.get_secret_value() if options.uri else secret("mongodbUri")
    client: MongoClient[dict[str, Any]] = MongoClient(
        uri,
        appname=f"holdfast-{ids.INSTANCE_ID}",
        event_listeners=[RoundTrips()],
        maxPoolSize=options.max_pool_size,
        serverSelectionTimeoutMS=options.selection_timeout_ms,
        connectTimeoutMS=options.selection_timeout_ms,
        timeoutMS=options.operation_timeout_ms,
        tz_aware=True,
        w="majority",
    )
    database = binding.choose(client, settings.load(settings.HoldfastSettings).stage, options.database)
    driver_errors.mongodb_breaker().ping = partial(database.command, "ping")
    return database


@once
def aws(
    service: Service,
    endpoint_url: str | None = None,
    *,
    attempts: int | None = None,
    read_timeout_seconds: float | None = None,
) -> Any:
    """Return a client of an AWS *service*. Credentials and, unless given, the endpoint come from the environment.

    *attempts* is the number of tries of a call that must not be repeated, *read_timeout_seconds* the deadline of an
    answer that must not be lost; by default, options say.
    """
    import botocore.session
    from botocore.config import Config

    options = settings.load(settings.AwsSettings)
    session = botocore.session.get_session()
    if service == "dynamodb":
        from chalicelib.core.stores.parsing import ItemParsers

        session.register_component("response_parser_factory", ItemParsers())
    client = session.create_client(
        service,
        region_name=settings.environment().get("AWS_REGION"),
        endpoint_url=endpoint_url,
        config=Config(
            connect_timeout=options.connect_timeout_seconds,
            read_timeout=read_timeout_seconds or options.read_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": attempts or options.max_attempts},
            max_pool_connections=options.max_connections,
            # The service checks its parameters itself; checks of botocore double the CPU time of a transaction.
            parameter_validation=False,
            # botocore would compose a user agent for every call, which takes a seventh of the call's CPU time.
            user_agent=f"holdfast/{settings.load(settings.HoldfastSettings).version}",
        ),
    )
    client.meta.events.register(f"before-call.{service}", logs.count_round_trip)
    if service == "dynamodb":
        dynamodb_clock().follow(client, service)
    return client


@once
def dynamodb_clock() -> ServerClock:
    """Return the clock that follows the answers of the process's DynamoDB client."""
    from chalicelib.core.stores.dates import ServerClock

    return ServerClock()


@once
def table(name: str) -> Table:
    """Return the DynamoDB table *name* of this stage."""
    from chalicelib.core.stores.dynamodb import Table

    return Table(aws("dynamodb"), _table_name(name))


@once
def sorted_table(name: str) -> SortedTable:
    """Return the DynamoDB table *name* of this stage, which has a sort key."""
    from chalicelib.core.stores.sorted import SortedTable

    return SortedTable(aws("dynamodb"), _table_name(name))


def _table_name(name: str) -> str:
    return f"holdfast-{settings.load(settings.HoldfastSettings).stage}-{name}"


@once
def secret(name: str) -> str:
    """Return the secret *name* from this deployment's Secrets Manager entry."""
    return str(_secrets()[name])


@once
def signing_key(purpose: str) -> bytes:
    """Return this deployment's key for one *purpose*; a signature made for one purpose is invalid for every other."""
    own = settings.load(settings.HoldfastSettings).signing_key
    key = own.get_secret_value() if own else secret("signingKey")
    return hmac.digest(key.encode(), purpose.encode(), "sha256")


def optional_secret(name: str) -> str | None:
    """Return the secret *name*, or None if this deployment has no such secret."""
    if settings.load(settings.HoldfastSettings).secret_id is None:
        return None
    found: Any = _secrets().get(name)
    # A JSON value, such as a service account, may be embedded in the secret's JSON instead of quoted as text.
    return found if found is None or isinstance(found, str) else json.dumps(found)


@once
def _secrets() -> dict[str, str]:
    from chalicelib.core.stores.driver_errors import reaching_aws

    entry = settings.load(settings.HoldfastSettings).secret_id
    with reaching_aws("secretsmanager"):
        answer = aws("secretsmanager").get_secret_value(SecretId=entry)
    found: dict[str, str] = json.loads(answer["SecretString"])
    return found
