"""Find the deliveries of a webhook that its receiver has lost, by the statement, and ask for them once more.

    HOLDFAST_SECRET=whsec_... python examples/reconcile.py WEBHOOK_ID < received.txt

Each line of the input is the id of a delivery and the SHA-256 of its body. The secret reads the statement. With
HOLDFAST_KEY, the API key of an administrator, each lost or damaged delivery is replayed.
"""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import requests
from standardwebhooks import Webhook

URL = os.environ.get("HOLDFAST_URL", "http://localhost:8000")


def statement(webhook_id: str, secret: str, first: int = 1) -> Iterator[dict[str, Any]]:
    """Yield sequence, id and digest of each delivery from the sequence *first* on."""
    path, query = f"/api/webhooks/{webhook_id}/statement", {"from": str(first), "limit": "50"}
    while True:
        asked = f"{path}?{urlencode(sorted(query.items()), quote_via=quote, safe='')}"
        now, name = datetime.now(UTC), uuid4().hex
        headers = {
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(name, now, f"GET {asked}"),
        }
        answer = requests.get(f"{URL}{asked}", headers=headers, timeout=30)
        answer.raise_for_status()
        page = answer.json()
        yield from page["items"]
        if page["nextCursor"] is None:
            return
        query["cursor"] = page["nextCursor"]


def replay(webhook_id: str, delivery_id: str) -> None:
    """Ask for a delivery once more."""
    headers = {"Authorization": f"Bearer {os.environ['HOLDFAST_KEY']}"}
    path = f"/api/webhooks/{webhook_id}/deliveries/{delivery_id}/replay"
    requests.post(f"{URL}{path}", headers=headers, timeout=30).raise_for_status()


if __name__ == "__main__":
    received = dict(line.split() for line in sys.stdin)
    for made in statement(sys.argv[1], os.environ["HOLDFAST_SECRET"]):
        if received.get(made["deliveryId"]) != made["digest"]:
            print(made["sequence"], made["deliveryId"], flush=True)
            if "HOLDFAST_KEY" in os.environ:
                replay(sys.argv[1], made["deliveryId"])
