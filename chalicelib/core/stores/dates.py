"""DynamoDB's time, as every answer tells it: the ``Date`` header, in whole seconds. It costs no round trip.

Rates compare a stored moment with the present, so their processes must agree on the present. A process keeps its own
clock as long as the last answer allows that clock; a wrong clock is moved to the nearest time that the answer allows.
"""

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import time
from typing import Any

#: The header is cut to whole seconds.
_CUT_SECONDS = 1.0
#: The moment of the request, in botocore's context of a call.
_SENT_AT = "holdfast.sent-at"


class ServerClock:
    """The time of the store whose client calls `follow`; *own* is the clock of this process.

    Never further from the store's time than a second and the duration of the last call, and no less exact than *own*
    where *own* agrees with the store. Before the first answer, and where answers have no date, the time is *own*.
    Thread-safe: the last answer counts.
    """

    def __init__(self, own: Callable[[], float] = time) -> None:
        self._own = own
        self._offset_seconds = 0.0

    def now(self) -> float:
        """Return the time in seconds since 1970."""
        return self._own() + self._offset_seconds

    def follow(self, client: Any, service: str) -> None:
        """Read the dates of all answers that *client* gets from *service*, refusals among them."""
        client.meta.events.register(f"before-call.{service}", self._note)
        client.meta.events.register(f"after-call.{service}", self._learn)

    def _note(self, context: dict[str, Any], **_: Any) -> None:
        context[_SENT_AT] = self._own()

    def _learn(self, context: Mapping[str, Any], parsed: Mapping[str, Any], **_: Any) -> None:
        date = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date is None or (said := _seconds(date)) is None:
            return
        # The store wrote the date between request and answer.
        least, most = said - self._own(), said + _CUT_SECONDS - context[_SENT_AT]
        if least <= most:
            self._offset_seconds = min(max(0.0, least), most)


@lru_cache(maxsize=4)
def _seconds(date: str) -> float | None:
    """Return the time of a header, or None if it is no date. Many answers share a second."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
