"""A push as FCM takes it (REST reference, ``projects.messages``).

What is built here is valid whatever it is made from: too long a text is cut and never refused. That matters beyond the
push itself, as FCM says the same of a bad message and of a bad token, and a bad token unregisters its device.
"""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.devices.models import Notification

#: FCM takes 4096 bytes of texts and data; what it adds of its own for each platform counts too.
LARGEST_BYTES = 3_500
_LARGEST_TITLE_BYTES = 500
_LARGEST_DATA_BYTES = 2_000
_LONGEST_SECONDS = 28 * 24 * 3600
_CUT = "…"


def build(notification: Notification, fcm_token: str, now: float) -> dict[str, Any]:
    """Return the message to one device; *now* is in seconds since 1970.

    Each platform has its own words for the two things that are asked of it: forget this when its time is over, and
    show it once. Time is in whole seconds, rounded down, as nobody should be asked for what can no longer be answered.
    """
    key, seconds = notification.collapse_key, min(notification.ttl_ms // 1000, _LONGEST_SECONDS)
    shown, data = fitted(notification)
    return {
        "token": fcm_token,
        "notification": shown,
        "data": data,
        # Of the messages that a phone missed, FCM keeps four collapse keys; the tag is what the phone itself goes by.
        "android": {"priority": "HIGH", "ttl": f"{seconds}s", "collapse_key": key, "notification": {"tag": key}},
        "apns": {
            "headers": {"apns-priority": "10", "apns-expiration": str(int(now) + seconds), "apns-collapse-id": key},
            # An iPhone is silent unless it is told not to be.
            "payload": {"aps": {"sound": "default"}},
        },
        "webpush": {
            "headers": {"Urgency": "high", "TTL": str(seconds), "Topic": key},
            "notification": {"tag": key},
        },
    }


def fitted(notification: Notification) -> tuple[dict[str, str], dict[str, str]]:
    """Return texts and data that are at most `LARGEST_BYTES` together; what fits is left as it is."""
    data = _least(notification.data, _LARGEST_DATA_BYTES)
    title = _cut(notification.title, _LARGEST_TITLE_BYTES)
    body = _cut(notification.body, LARGEST_BYTES - _size(data) - _size(title))
    return {"title": title, "body": body}, data


def _least(data: Mapping[str, str], room: int) -> dict[str, str]:
    """Return *data* without its longest values, as many as must go: ids are short."""
    kept = dict(data)
    while _size(kept) > room:
        del kept[max(kept, key=lambda name: _size({name: kept[name]}))]
    return kept


def _cut(text: str, room: int) -> str:
    """Return *text*, or as much of its beginning as fits with the sign that there was more."""
    if _size(text) <= room:
        return text
    fits, beyond = 0, len(text)
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        if _size(text[:middle] + _CUT) <= room:
            fits = middle
        else:
            beyond = middle
    return text[:fits] + _CUT


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
