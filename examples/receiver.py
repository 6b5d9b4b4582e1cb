"""Receive webhooks or callbacks: verify, answer at once, then handle each event once, and nothing out of date.

    HOLDFAST_SECRET=whsec_... python examples/receiver.py    # events of the webhook that has this secret
    HOLDFAST_KEY=hfk_... python examples/receiver.py         # callbacks of questions that this key's user asks

The webhook's `url`, or a question's `callbackUrl`, is the printed address. A laptop's stack calls addresses of the same
machine; on AWS they must be public.
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Thread
from typing import Any

import requests
from standardwebhooks import Webhook, WebhookVerificationError

URL = os.environ.get("HOLDFAST_URL", "http://localhost:8000")
#: A service keeps these three in its database: a restart forgets them here.
accepted: SimpleQueue[Any] = SimpleQueue()
seen: set[str] = set()
newest: dict[str, int] = {}


def secret() -> str:
    """Return the webhook's secret, else the callback secret of the key's user: every user has one of their own."""
    if "HOLDFAST_SECRET" in os.environ:
        return os.environ["HOLDFAST_SECRET"]
    key = {"Authorization": f"Bearer {os.environ['HOLDFAST_KEY']}"}
    return str(requests.get(f"{URL}/api/callback-secret", headers=key, timeout=30).json()["secret"])


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to a signed event, first or repeated, and 400 to everything else."""

    def do_POST(self) -> None:
        """Verify the body as it came, byte for byte, before reading anything of it. The work comes after the answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            accepted.put(webhook.verify(body, dict(self.headers)))
        except WebhookVerificationError:
            return self.send_error(400)
        self.send_response(204)
        return self.end_headers()


def work() -> None:
    """Handle accepted events, one after the other."""
    while event := accepted.get():
        data = event["data"]
        record, version = data.get("applicationId") or data.get("requestId", "-"), data.get("version", 0)
        # A repeat has the same id. Deliveries overtake each other: an older version says nothing new.
        if event["id"] not in seen and version >= newest.get(record, 0):
            print(event["type"], record, data.get("action") or f"version {version}", flush=True)
            newest[record] = version
        seen.add(event["id"])


webhook = Webhook(secret())
Thread(target=work, daemon=True).start()
server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Receiver)
print(f"Listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
