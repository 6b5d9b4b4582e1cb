"""A server that speaks SES's protocol (SendEmail of the query API), keeps the mails, and fails when told to."""

import random
import threading
from collections import Counter
from collections.abc import Callable  # noqa: TC003
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs

_ANSWER = (
    '<SendEmailResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/"><SendEmailResult><MessageId>{}</MessageId>'
    "</SendEmailResult></SendEmailResponse>"
)
_ERROR = "<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code><Message>no</Message></Error></ErrorResponse>"


class Taken(NamedTuple):
    """A mail that the service took."""

    mail_id: str
    to: str
    subject: str
    text: str
    html: str


class MailServer:
    """The service at `url`. `asked` counts requests by recipient; `taken` are the mails that would arrive.

    Set `fate` to a function that says per request what happens: "send", "refuse" (a definite no), "throttle", "break"
    (a 500 without sending), "lose" (sends, and closes the connection) or "vanish" (closes, and sends nothing).
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.taken: list[Taken] = []
        self.fate: Callable[[str], str] = lambda _to: "send"
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "MailServer":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fail(self, share: float, rng: random.Random) -> None:
        """Let a *share* of requests fail, in every way alike."""
        ways = ("refuse", "throttle", "break", "lose", "vanish")
        self.fate = lambda _to: rng.choice(ways) if rng.random() < share else "send"

    def _take(self, form: dict[str, list[str]]) -> tuple[str, str]:
        to = form["Destination.ToAddresses.member.1"][0]
        with self._lock:
            self.asked[to] += 1
            fate, mail_id = self.fate(to), f"mail-{sum(self.asked.values())}"
            if fate in {"send", "lose"}:
                parts = ("Subject.Data", "Body.Text.Data", "Body.Html.Data")
                self.taken.append(Taken(mail_id, to, *(form[f"Message.{part}"][0] for part in parts)))
        return fate, mail_id

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                fate, mail_id = server._take(parse_qs(body))
                if fate in {"lose", "vanish"}:
                    self.close_connection = True
                    self.connection.close()
                    return
                status, text = {
                    "send": (200, _ANSWER.format(mail_id)),
                    "refuse": (400, _ERROR.format("MessageRejected")),
                    "throttle": (400, _ERROR.format("Throttling")),
                    "break": (500, _ERROR.format("InternalFailure")),
                }[fate]
                self.send_response(status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        return Handler
