"""Finds the address of a stage's API."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra.deployment import cloudformation, emulator_fixes
from infra.operations.failures import CommandFailed
from infra.operations.target import not_deployed, target_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from infra.operations.target import Target

_PORTS = range(1, 65_536)


def url_of(asked: argparse.Namespace, environ: Mapping[str, str]) -> str:
    """Return the URL that the options give, else that of the stack on this machine, else that of the deployed stage.

    Raises:
        CommandFailed: a given URL is none, no stack was found, or the stage is not deployed.
    """
    if asked.url:
        return checked(asked.url)
    target = target_of(asked, environ)
    return target.where if target.known else _deployed(target)


def checked(url: str) -> str:
    """Return *url* if it is one of an API.

    Raises:
        CommandFailed: the text is not the beginning of a URL with http or https.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 443) in _PORTS
        usable = usable and not (parts.query or parts.fragment or parts.username or parts.password)
    except ValueError:
        usable = False
    if not usable:
        raise CommandFailed(
            "--url is not the address of an API. Write https://HOST/PATH as scripts/deploy prints it, without user, "
            "password and query."
        )
    return url.rstrip("/")


def _deployed(target: Target) -> str:
    stack = cloudformation.describe(target.client("cloudformation"), f"holdfast-{target.stage}-app")
    outputs = {one["OutputKey"]: one["OutputValue"] for one in (stack or {}).get("Outputs", [])}
    if "EndpointURL" not in outputs:
        raise not_deployed(target)
    if target.where == "AWS":
        return str(outputs["EndpointURL"]).rstrip("/")
    found: str = emulator_fixes.api_url(target.client, outputs)
    return found
