"""Devices, notifications, and the result of a push (no I/O)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import Field, JsonValue, StringConstraints

from chalicelib.core.models import Form, Instant, Model

#: Opaque, says FCM; today's tokens are some 160 characters of base64url and colons.
FcmToken = Annotated[
    str,
    StringConstraints(pattern=r"^[!-~]+$", max_length=4096),
    Form("must be a registration token of Firebase: 1 to 4,096 visible ASCII characters"),
]

#: An object or a list, sent to a device as JSON text.
Part = dict[str, JsonValue] | list[JsonValue]

#: A topic of Web Push (RFC 8030, section 5.4), the strictest format of the three platforms.
_COLLAPSE_KEY = re.compile(r"[A-Za-z0-9_-]{1,32}")
#: FCM refuses these as keys of data (REST reference of ``projects.messages``, and its ``ErrorCode``).
_RESERVED = re.compile(r"from|message_type|gcm.*|google.*", re.DOTALL)


class Platform(StrEnum):
    """The platform of a device."""

    IOS = "ios"
    ANDROID = "android"
    WEB = "web"


class NewDevice(Model):
    """Request to register a device for push."""

    platform: Annotated[Platform, Field(strict=False)]
    fcm_token: FcmToken = Field(description="the app's registration token; send it again whenever FCM renews it")


class Device(Model):
    """A device in answers, without the token, since only the app may have the token."""

    device_id: str
    platform: Platform
    created_at: Instant
    updated_at: Instant
    expires_at: Instant


class Target(NamedTuple):
    """A device to push to, with the device's token at the time of reading."""

    device_id: str
    fcm_token: str


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification for the devices of a person.

    Raises:
        ValueError: FCM would refuse the notification.
    """

    title: str
    body: str
    #: Ids for the app, which fetches the rest. If the data is too large, the longest values are left out.
    data: Mapping[str, str] = field(default_factory=dict)
    #: Further data by name, each sent as JSON text. Where the message has no room, the largest fields of an object and
    #: the last items of a list are left out; the app fetches the rest.
    parts: Mapping[str, Part] = field(default_factory=dict)
    #: Time to live: a device out of reach for longer never gets the notification.
    ttl_ms: int = 0
    #: A device shows one notification per key, the latest.
    collapse_key: str = ""

    def __post_init__(self) -> None:
        if not (self.title or self.body):
            raise ValueError("a notification without words is not shown")
        if not _COLLAPSE_KEY.fullmatch(self.collapse_key):
            raise ValueError(f"not a collapse key: {self.collapse_key!r}")
        if reserved := [key for key in (*self.data, *self.parts) if _RESERVED.fullmatch(key)]:
            raise ValueError(f"FCM keeps these keys of data for itself: {reserved}")


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A message for the app alone, to devices that were notified under the collapse key: the notification is void."""

    collapse_key: str
    data: Mapping[str, str]
    ttl_ms: int

    @property
    def mark(self) -> str:
        """The text under which a device is remembered as told."""
        return f"-{self.collapse_key}"


@dataclass(frozen=True, slots=True)
class Delivered:
    """The result of a push, in numbers of devices. *sent* means taken by FCM; a device may still be out of reach."""

    sent: int = 0
    #: Unregistered now, since FCM no longer knows the token.
    gone: int = 0
    #: FCM will never take the push, or takes no push of this deployment; the log has the reason.
    refused: int = 0
    #: FCM was busy, or did not answer.
    unsettled: int = 0
    #: Pause before repeating the push; None if a repeat is pointless.
    again_after_seconds: float | None = None
    #: Whether there is a service account at all.
    configured: bool = True
    #: The devices that FCM took the push for.
    device_ids: tuple[str, ...] = field(default=(), compare=False)
