"""A paused activation waits for days, and its progress and leads end at their moments."""

import secrets
from functools import partial
from typing import Any

import pytest

from infra.local.lab.lab import Lab
from tests.support.client import json_of, problem_of
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

_LEADS = 300


def test_an_activation_paused_for_three_days_goes_on_to_its_end(lab: Lab, person: NewPerson) -> None:
    # Given an activation that is paused before its end, of an officer whose key no jump ends
    officer, session_id = person("service", "officer").client, f"paused-{secrets.token_hex(4)}"
    leads = [{"email": f"{session_id}-{place}@example.org"} for place in range(_LEADS)]
    json_of(officer.post("/activation", {"sessionId": session_id, "leads": leads}), 202)
    json_of(officer.post(f"/activation/{session_id}/pause"))

    def shown() -> dict[str, Any]:
        found: dict[str, Any] = json_of(officer.get(f"/activation/progress/{session_id}"))["data"]
        return found

    assert not shown()["completed"]
    # When three days pass
    lab.advance(days=3)
    # Then its progress is still there, and resumed it comes to its end
    assert (shown()["total"], shown()["completed"]) == (_LEADS, False)
    json_of(officer.post(f"/activation/{session_id}/resume"))
    last = eventually(lambda: (found := shown())["completed"] and found, 120)
    assert (last["activated"], last["failed"], last["skipped"], last["percentage"]) == (_LEADS, 0, 0, 100.0)
    # And the progress ends ten minutes later, the leads 30 days later
    read, page = f"/activation/progress/{session_id}", f"/activation/{session_id}/leads"
    lab.advance(minutes=9)
    json_of(officer.get(read))
    lab.advance(minutes=2)
    problem_of(officer.get(read), 404)
    assert json_of(officer.get(page))["items"]
    lab.advance(days=31)
    eventually(partial(_gone, officer.get, page), 120)


def _gone(get: Any, path: str) -> bool:
    answer = get(path)
    return bool(answer.status_code == 404 or json_of(answer)["items"] == [])
