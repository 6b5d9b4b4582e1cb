"""The times of the console in Chromium, each beside its limit, on the deployed stack.

Bytes, files, requests of an idle tab, console messages and accessibility have limits that tests hold: see
``tests/unit/console/test_site.py`` and ``tests/browser``.
"""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from infra.local.stack import Stack
from infra.operations.failures import CommandFailed
from tests.benchmarks.report import show
from tests.browser.chromium import NoBrowser, launched
from tests.browser.visits import sign_in
from tests.support.client import Client, Person

_COLD_MS, _EMPTY_CACHE_MS, _FULL_CACHE_MS, _PHONE_MS = 4_000, 1_000, 500, 2_500
_ROWS_MS, _KEY_MS, _HEAP_MB = 50, 100, 30
_ROWS = 200
#: A poll every five seconds.
_POLLS_OF_HALF_AN_HOUR = 360
#: 150 ms from the phone to the server and back, 1.6 Mbit/s down, 0.75 Mbit/s up.
_SLOW_4G = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 93_750}

#: `shown`: the milliseconds from the navigation to the first picture with a heading.
_WATCH_HEADING = """
window.shown = new Promise((resolve) =>
  new MutationObserver((_, observer) => {
    if (!document.querySelector("main h1")) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
  }).observe(document, { childList: true, subtree: true }));
"""
#: `drawn`: the milliseconds from the arrival of an answer with many rows to the picture with the rows.
_WATCH_ROWS = """
const text = Response.prototype.text;
let arrived = 0;
Response.prototype.text = async function () {
  const found = await text.call(this);
  if (this.url.includes("status=resolved")) arrived = performance.now();
  return found;
};
window.drawn = new Promise((resolve) =>
  new MutationObserver((_, observer) => {
    if (document.querySelectorAll("tbody tr").length < %d) return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - arrived)));
  }).observe(document, { childList: true, subtree: true }));
"""
#: `typed`: the milliseconds from each of so many keys to the next picture.
_WATCH_KEYS = """
window.typed = new Promise((resolve) => {
  const found = [];
  addEventListener("keydown", (event) =>
    requestAnimationFrame(() => setTimeout(() => {
      if (found.push(performance.now() - event.timeStamp) === %d) resolve(found);
    })), true);
});
"""


class Scale(NamedTuple):
    """The size of a run."""

    visits: int
    keys: int
    polls: int


_SMOKE, _FULL = Scale(1, 3, 3), Scale(7, 50, _POLLS_OF_HALF_AN_HOUR)


def run(*, smoke: bool) -> None:
    """Measure each time that has a limit.

    Raises:
        CommandFailed: Chromium or Playwright is missing.
    """
    try:
        with launched() as browser, tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
            rows = _Bench(browser, stack, _SMOKE if smoke else _FULL).rows()
    except NoBrowser as missing:
        raise CommandFailed(str(missing)) from missing
    show("console, in Chromium on this machine", ("what", "median", "unit", "most", "held to", "ratio"), rows)


def _line(what: str, unit: str, held_to: float, measured: Sequence[float]) -> list[str]:
    middle = statistics.median(measured)
    return [what, f"{middle:.1f}", unit, f"{max(measured):.1f}", f"{held_to:g}", f"{middle / held_to:.2f}"]


class _Bench:
    """Visits of the first administrator."""

    def __init__(self, browser: Any, stack: Stack, scale: Scale) -> None:
        self._browser, self._url, self._scale = browser, f"{stack.url}/console/", scale
        self._password = stack.admin_password or ""
        #: Cookie and preferences of a browser that is signed in.
        self._kept: Any = None

    def rows(self) -> list[list[str]]:
        """Measure in the order that cold functions demand: nothing may call the API before the first line."""
        times = range(self._scale.visits)
        empty, full = "frame shown, warm functions", "the same, files in the browser's cache"
        phone = "the same, slow 4G and a quarter of the CPU"
        many = f"{_ROWS} new rows: answer to picture"
        rows = [_line("sign-in shown, cold functions", "ms", _COLD_MS, [self._cold_ms()])]
        self._kept = self._sign_in()
        visits = [self._visit_ms() for _ in times]
        rows.append(_line(empty, "ms", _EMPTY_CACHE_MS, [first for first, _ in visits]))
        rows.append(_line(full, "ms", _FULL_CACHE_MS, [second for _, second in visits]))
        rows.append(_line(phone, "ms", _PHONE_MS, [self._phone_ms() for _ in times]))
        rows.append(_line(many, "ms", _ROWS_MS, [self._draw_ms() for _ in times]))
        rows.append(_line("key to picture", "ms", _KEY_MS, self._keys_ms()))
        rows.append(_line(f"heap after {self._scale.polls} polls", "MB", _HEAP_MB, [self._heap_mb()]))
        return rows

    @contextmanager
    def _page(self, script: str = "") -> Iterator[Any]:
        """Yield a page of a browser with an empty cache, in the session if there is one."""
        context = self._browser.new_context(storage_state=self._kept)
        page = context.new_page()
        if script:
            page.add_init_script(script)
        yield page
        context.close()

    def _cold_ms(self) -> float:
        with self._page(_WATCH_HEADING) as page:
            return self._shown_ms(page)

    def _sign_in(self) -> Any:
        with self._page() as page:
            page.goto(f"{self._url}#/inbox")
            sign_in(page, Person("admin", self._password, Client(self._url)))
            page.get_by_role("heading", name="No question waits for you").wait_for()
            return page.context.storage_state()

    def _visit_ms(self) -> tuple[float, float]:
        """Visit twice: with an empty cache, and with the files of the first visit."""
        with self._page(_WATCH_HEADING) as page:
            return self._shown_ms(page), self._shown_ms(page)

    def _phone_ms(self) -> float:
        with self._page(_WATCH_HEADING) as page:
            protocol = page.context.new_cdp_session(page)
            protocol.send("Network.enable")
            protocol.send("Network.emulateNetworkConditions", _SLOW_4G)
            protocol.send("Emulation.setCPUThrottlingRate", {"rate": 4})
            return self._shown_ms(page)

    def _draw_ms(self) -> float:
        with self._page(_WATCH_ROWS % _ROWS) as page:
            page.route("**/api/pending-responses?status=resolved*", lambda route: route.fulfill(json=_many()))
            page.goto(f"{self._url}#/approvals")
            page.get_by_role("link", name="resolved").click()
            return float(page.evaluate("window.drawn"))

    def _keys_ms(self) -> list[float]:
        with self._page(_WATCH_KEYS % self._scale.keys) as page:
            page.goto(f"{self._url}#/ask")
            page.get_by_label("Details").press_sequentially("k" * self._scale.keys)
            return [float(ms) for ms in page.evaluate("window.typed")]

    def _heap_mb(self) -> float:
        with self._page() as page:
            page.goto(f"{self._url}#/approvals")
            for _ in range(self._scale.polls):
                with page.expect_response("**/api/pending-responses?*"):
                    page.get_by_role("button", name="Refresh").click()
            protocol = page.context.new_cdp_session(page)
            protocol.send("Performance.enable")
            protocol.send("HeapProfiler.collectGarbage")
            metrics = protocol.send("Performance.getMetrics")["metrics"]
            return next(float(each["value"]) for each in metrics if each["name"] == "JSHeapUsedSize") / 1e6

    def _shown_ms(self, page: Any) -> float:
        page.goto("about:blank")
        page.goto(self._url)
        return float(page.evaluate("window.shown"))


def _many() -> dict[str, Any]:
    """Return a page of as many settled questions as the bench draws."""
    at = "2026-11-26T12:00:00Z"
    item = {
        "username": "admin",
        "title": "Pay 120.00 EUR to Ada?",
        "body": "",
        "data": {},
        "actions": ["approve", "reject"],
        "status": "resolved",
        "action": "approve",
        "createdBy": "admin",
        "createdAt": at,
        "expiresAt": at,
        "resolvedAt": at,
        "responseMs": 400,
        "approvers": ["admin"],
        "required": 1,
        "answers": [],
        "escalateTo": [],
    }
    return {"items": [{**item, "requestId": f"bench-{number}"} for number in range(_ROWS)], "nextCursor": None}
