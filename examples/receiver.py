"""Receive callbacks, verify their signatures, and print each outcome once.

    HOLDFAST_KEY=hfk_... python examples/receiver.py

The key belongs to the user who asks the questions: every user has a callback secret of their own. Questions name the
printed address as `callbackUrl`. A laptop's stack calls addresses of the same machine; on AWS they must be public.
"""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests
from standardwebhooks import Webhook, WebhookVerificationError

URL = os.environ.get("HOLDFAST_URL", "http://localhost:8000")
key = {"Authorization": f"Bearer {os.environ['HOLDFAST_KEY']}"}
webhook = Webhook(requests.get(f"{URL}/api/callback-secret", headers=key, timeout=30).json()["secret"])
seen: set[str] = set()  # A service of several processes keeps these ids in its database.


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to a signed callback, first or repeated, and 400 to everything else."""

    def do_POST(self) -> None:
        """Verify the body as it came, byte for byte, before reading anything of it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = webhook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            return self.send_error(400)
        if event["id"] not in seen:  # A repeated callback has the same id.
            seen.add(event["id"])
            print(event["type"], event["data"]["requestId"], event["data"]["action"], flush=True)
        self.send_response(204)
        return self.end_headers()


server = HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Receiver)
print(f"Listening on http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
