"""The stage's secret, which gives functions the connection string of MongoDB beside the signing key."""

import json
from typing import Any


def mongodb_uri(secrets: Any, stage: str) -> str:
    """Return the connection string in the secret of *stage*; empty if there is no secret or no connection string.

    *secrets* is a client of Secrets Manager.
    """
    return str(_read(secrets, stage).get("mongodbUri", ""))


def complete(secrets: Any, stage: str, uri: str) -> bool:
    """Store *uri* in the secret of *stage* if the secret has no connection string; return whether *uri* was stored.

    A connection string that is there stays: functions may reach MongoDB by another address than operators. Safe to
    repeat.
    """
    found = _read(secrets, stage)
    if not found or found.get("mongodbUri"):
        return False
    secrets.put_secret_value(SecretId=f"holdfast-{stage}", SecretString=json.dumps({**found, "mongodbUri": uri}))
    return True


def _read(secrets: Any, stage: str) -> dict[str, Any]:
    """Return the content of the secret of *stage*, empty if there is no secret."""
    try:
        answer = secrets.get_secret_value(SecretId=f"holdfast-{stage}")
    except secrets.exceptions.ResourceNotFoundException:
        return {}
    found: dict[str, Any] = json.loads(answer["SecretString"])
    return found
