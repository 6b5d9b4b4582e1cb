"""Builds messages in FCM's format (REST reference, ``projects.messages``).

Every built message is valid: text that is too long is cut and never refused. Validity matters beyond the push itself:
FCM answers a bad message and a bad token alike, and a bad token unregisters the device.
"""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.devices.models import Notification

#: FCM takes 4096 bytes of texts and data, including fields that FCM adds for each platform.
LARGEST_BYTES = 3_500
_LARGEST_TITLE_BYTES = 500
_LARGEST_DATA_BYTES = 2_000
_LONGEST_SECONDS = 28 * 24 * 3600
_CUT = "…"


def build(notification: Notification, fcm_token: str, now: float) -> dict[str, Any]:
    """Return the message to one device; *now* is in seconds since 1970.

    Each platform has different fields for the same two demands: drop the message after the time to live, and show the
    message once. The time to live is in whole seconds, rounded down, so no expired question is shown.
    """
    key, seconds = notification.collapse_key, min(notification.ttl_ms // 1000, _LONGEST_SECONDS)
    shown, data = fitted(notification)
    return {
        "token": fcm_token,
        "notification": shown,
        "data": data,
        # FCM keeps missed messages of four collapse keys per phone. The phone itself replaces notifications by tag.
        "android": {"priority": "HIGH", "ttl": f"{seconds}s", "collapse_key": key, "notification": {"tag": key}},
        "apns": {
            "headers": {"apns-priority": "10", "apns-expiration": str(int(now) + seconds), "apns-collapse-id": key},
            # Without a sound, an iPhone shows the message silently.
            "payload": {"aps": {"sound": "default"}},
        },
        "webpush": {
            "headers": {"Urgency": "high", "TTL": str(seconds), "Topic": key},
            "notification": {"tag": key},
        },
    }


def fitted(notification: Notification) -> tuple[dict[str, str], dict[str, str]]:
    """Return texts and data of at most `LARGEST_BYTES` together. Parts within their limits are unchanged."""
    data = _fit_data(notification.data, _LARGEST_DATA_BYTES)
    title = _cut(notification.title, _LARGEST_TITLE_BYTES)
    body = _cut(notification.body, LARGEST_BYTES - _size(data) - _size(title))
    return {"title": title, "body": body}, data


def _fit_data(data: Mapping[str, str], room: int) -> dict[str, str]:
    """Return *data* within *room* bytes, dropping the longest values first: ids are short, and stay."""
    kept = dict(data)
    while _size(kept) > room:
        del kept[max(kept, key=lambda name: _size({name: kept[name]}))]
    return kept


def _cut(text: str, room: int) -> str:
    """Return *text* unchanged up to *room* bytes, else the longest prefix that fits with an ellipsis."""
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
