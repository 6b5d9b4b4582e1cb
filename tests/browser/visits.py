"""Visits of people to the console: a browser context each, and what must be true of every page."""

import json
from pathlib import Path
from typing import Any

from tests.support.client import Person, json_of

AXE = Path(__file__).with_name("axe.min.js").read_text()
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
#: What Chromium says of every answer from 400 on; a test of refusals expects the words.
REFUSED = "Failed to load resource"
_SOCKET_REFUSED = "WebSocket connection to"

#: Width and height of a laptop, of a phone, and of the smallest phone.
LAPTOP, PHONE, SMALLEST = (1280, 800), (390, 844), (320, 640)


class Visits:
    """Opens pages of the console at *url*."""

    def __init__(self, browser: Any, url: str) -> None:
        self.url = f"{url}/console/"
        self._browser = browser
        self._contexts: list[Any] = []
        self._said: list[str] = []
        self._expected: tuple[str, ...] = ()

    def expect(self, *words: str) -> None:
        """Let pages say lines with one of *words* on their consoles. Where calls are refused, sockets are too."""
        self._expected += words
        if REFUSED in words:
            self._expected += (_SOCKET_REFUSED,)

    def open(self, path: str = "", *, size: tuple[int, int] = LAPTOP, scheme: str = "light", **options: Any) -> Any:
        """Return a page of a new browser context, which shows the console at *path*."""
        width, height = size
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, service_workers="block", **options
        )
        context.set_default_timeout(30_000)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self._said.append(message.text))
        page.on("pageerror", lambda error: self._said.append(str(error)))
        page.goto(self.url + path)
        return page

    def signed_in(self, person: Person, path: str = "", **options: Any) -> Any:
        """Return a page of *person*, who has signed in with the form."""
        page = self.open(path, **options)
        sign_in(page, person)
        page.get_by_role("navigation", name="Pages", exact=True).wait_for()
        return page

    def close(self) -> None:
        """End all visits; fail if a page said something unexpected."""
        for context in self._contexts:
            context.close()
        unexpected = [line for line in self._said if not any(word in line for word in self._expected)]
        assert not unexpected, unexpected


def sign_in(page: Any, person: Person) -> None:
    """Fill in the form of sign-in, on the page or in the dialog, and send the form."""
    page.get_by_label("Username").fill(person.username)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Sign in").click()


def violations(page: Any) -> list[str]:
    """Return what axe finds against WCAG 2.2 AA on *page*, a line each."""
    # By the protocol of developer tools: the page's own policy admits no other script.
    session = page.context.new_cdp_session(page)
    script = f"{AXE}; axe.run({{runOnly: {json.dumps(_RULES)}}}).then((found) => JSON.stringify(found))"
    answer = session.send("Runtime.evaluate", {"expression": script, "awaitPromise": True, "returnByValue": True})
    found = json.loads(answer["result"]["value"])
    assert found["passes"], "axe has looked at nothing"
    return [f"{rule['id']}: {node['target']}" for rule in found["violations"] for node in rule["nodes"]]


def scrolls_sideways(page: Any) -> bool:
    """Return whether *page* is wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def asked(admin: Any, username: str, title: str, timeout_ms: int = 600_000, **more: Any) -> str:
    """Put a question to *username*; return the id of the request."""
    body = {"username": username, "title": title, "timeoutMs": timeout_ms, "wait": False, **more}
    return str(json_of(admin.post("/send-notification", body), 202)["requestId"])


def tried(admin: Any) -> tuple[str, str]:
    """Make a webhook to a port where nobody listens, and try it; return the ids of webhook and delivery."""
    body = {"url": f"http://127.0.0.1:9/{'long' * 40}", "events": ["webhook.disabled"]}
    webhook = str(json_of(admin.post("/api/webhooks", body), 201)["webhookId"])
    return webhook, str(json_of(admin.post(f"/api/webhooks/{webhook}/test"), 202)["deliveryId"])
