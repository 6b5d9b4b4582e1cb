"""Builds messages in FCM's format (REST reference, ``projects.messages``).

Every built message is valid: text that is too long is cut and never refused. Validity matters beyond the push itself:
FCM answers a bad message and a bad token alike, and a bad token unregisters the device.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import JsonValue

from chalicelib.devices.models import Notification, Part, Withdrawal

Key = TypeVar("Key", str, int)

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


def void(withdrawal: Withdrawal, fcm_token: str, now: float) -> dict[str, Any]:
    """Return the message that withdraws a notification; *now* is in seconds since 1970. The app alone sees it.

    The collapse key is the notification's: the message takes the place of a notification that is still on its way.
    """
    key, seconds = withdrawal.collapse_key, min(withdrawal.ttl_ms // 1000, _LONGEST_SECONDS)
    return {
        "token": fcm_token,
        "data": dict(withdrawal.data),
        "android": {"priority": "HIGH", "ttl": f"{seconds}s", "collapse_key": key},
        "apns": {
            # Apple takes a message without an alert only at this priority, and wakes the app to remove what it shows.
            "headers": {
                "apns-priority": "5",
                "apns-push-type": "background",
                "apns-expiration": str(int(now) + seconds),
                "apns-collapse-id": key,
            },
            "payload": {"aps": {"content-available": 1}},
        },
        "webpush": {"headers": {"Urgency": "normal", "TTL": str(seconds), "Topic": key}},
    }


def fitted(notification: Notification) -> tuple[dict[str, str], dict[str, str]]:
    """Return texts and data of at most `LARGEST_BYTES` together. Parts within their limits are unchanged."""
    data = _fit_data(notification.data, _LARGEST_DATA_BYTES)
    data = _fit_parts(notification.parts, data, _LARGEST_DATA_BYTES)
    title = _cut(notification.title, _LARGEST_TITLE_BYTES)
    body = _cut(notification.body, LARGEST_BYTES - _size(data) - _size(title))
    return {"title": title, "body": body}, data


def _fit_data(data: Mapping[str, str], room: int) -> dict[str, str]:
    """Return *data* within *room* bytes, dropping the longest values first: ids are short, and stay."""
    kept = dict(data)
    while _size(kept) > room:
        del kept[max(kept, key=lambda name: _size({name: kept[name]}))]
    return kept


def _fit_parts(parts: Mapping[str, Part], data: dict[str, str], room: int) -> dict[str, str]:
    """Return *data* with *parts* added as JSON text, all within *room* bytes. An empty part is left out.

    An object loses its largest fields, and a list its last items. Parts given first are fitted first.
    """
    for name, part in parts.items():
        left = room - _size({**data, name: _text(type(part)())})
        if kept := _fit_object(part, left) if isinstance(part, dict) else _fit_list(part, left):
            data = {**data, name: _text(kept)}
    return data


def _fit_object(part: dict[str, JsonValue], room: int) -> Part:
    costs = {name: _cost(_text({name: value})) for name, value in part.items()}
    kept = set(_within(sorted(costs, key=costs.__getitem__), costs, room))
    return {name: value for name, value in part.items() if name in kept}


def _fit_list(part: list[JsonValue], room: int) -> Part:
    costs = {index: _cost(_text([item])) for index, item in enumerate(part)}
    return [part[index] for index in _within(list(costs), costs, room)]


def _within(order: list[Key], costs: Mapping[Key, int], room: int) -> Iterator[Key]:
    """Yield the first keys of *order* that cost at most *room* together."""
    for key in order:
        room -= costs[key]
        if room < 0:
            return
        yield key


def _cost(text: str) -> int:
    """Return the bytes that the only member of *text*, an object or list, takes as text: a comma for two brackets."""
    return _size(text) - len('""') - 1


def _text(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


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
