"""Builders of applications, and calls of their routes."""

from typing import Any

from tests.support.gateway import Answer, ask

PATH = "/api/applications"


def fields(**more: Any) -> dict[str, Any]:
    """Return the body of a new application."""
    return {
        "applicantName": "Ada Lovelace",
        "email": "ada@example.org",
        "amountMinor": 1_000_000,
        "currency": "EUR",
        "termMonths": 24,
    } | more


def make(token: str, **more: Any) -> dict[str, Any]:
    """Create an application and return the answer's body."""
    answer = ask("POST", PATH, fields(**more), token=token)
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


def at(application: dict[str, Any]) -> str:
    """Return the path of an application."""
    return f"{PATH}/{application['applicationId']}"


def change(token: str, application: dict[str, Any], **more: Any) -> Answer:
    """Change an application at the version in hand."""
    return ask("PUT", at(application), {"version": application["version"], **more}, token=token)


def moved(token: str, application: dict[str, Any], *statuses: str) -> dict[str, Any]:
    """Move an application through *statuses* and return its last state."""
    for status in statuses:
        answer = change(token, application, status=status)
        assert answer.status == 200, answer.text
        application = answer.json
    return application


def approved(token: str, **more: Any) -> dict[str, Any]:
    """Return an application that can be disbursed."""
    return moved(token, make(token, status="submitted", **more), "approved")
