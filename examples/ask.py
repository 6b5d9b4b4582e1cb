"""Ask a person a question, wait for the answer, and print the request with its outcome.

    HOLDFAST_KEY=hfk_... python examples/ask.py ann "Pay 120.00 EUR to Ada?"

The key belongs to a user with the role service. A wait that breaks off loses nothing: the request goes on without it.
"""

import json
import os
import sys
from typing import Any

import requests

URL = os.environ.get("HOLDFAST_URL", "http://localhost:8000")
api = requests.Session()
api.headers["Authorization"] = f"Bearer {os.environ['HOLDFAST_KEY']}"


def ask(username: str, title: str) -> Any:
    """Return the settled request: its status is resolved, timeout or cancelled."""
    question = {"username": username, "title": title, "wait": False, "timeoutMs": 300_000}
    asked = api.post(f"{URL}/send-notification", json=question, timeout=30)
    asked.raise_for_status()
    request = asked.json()
    while request["status"] == "pending":
        # The server holds this call until somebody answers, for 20 s at most.
        path = f"/api/pending-responses/{request['requestId']}"
        shown = api.get(URL + path, params={"waitMs": 20_000}, timeout=30)
        shown.raise_for_status()
        request = shown.json()
    return request


if __name__ == "__main__":
    print(json.dumps(ask(*sys.argv[1:3])))
