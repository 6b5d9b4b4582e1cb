"""What a device is, what a push says and what became of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import Field, StringConstraints

from chalicelib.core.models import Instant, Model

#: Chosen by the app: the ids that platforms and libraries make fit. A path of dots would be no path.
DeviceId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,127}$")]

#: FCM calls it opaque; today's are some 160 characters of base64url and colons.
FcmToken = Annotated[str, StringConstraints(pattern=r"^[!-~]+$", max_length=4096)]

#: What Web Push takes as a topic (RFC 8030, section 5.4) is the narrowest of what the three platforms take.
_COLLAPSE_KEY = re.compile(r"[A-Za-z0-9_-]{1,32}")
#: FCM refuses these as keys of data (REST reference of ``projects.messages``, and its ``ErrorCode``).
_RESERVED = re.compile(r"from|message_type|gcm.*|google.*", re.DOTALL)


class Platform(StrEnum):
    """What a device runs."""

    IOS = "ios"
    ANDROID = "android"
    WEB = "web"


class NewDevice(Model):
    """A device to push to."""

    platform: Annotated[Platform, Field(strict=False)]
    fcm_token: FcmToken = Field(description="the app's registration token; send it again whenever FCM renews it")


class Device(Model):
    """A device as it may be shown: never with its token, which is the app's own."""

    device_id: str
    platform: Platform
    created_at: Instant
    updated_at: Instant
    expires_at: Instant


class Target(NamedTuple):
    """Where a push goes: a device under the token it had when it was read."""

    device_id: str
    fcm_token: str


@dataclass(frozen=True, slots=True)
class Notification:
    """What to tell a person on their devices. What FCM would refuse cannot be made: `ValueError`."""

    title: str
    body: str
    #: Names what it is about; the app asks for the rest. Where it is too large, its longest values are left out.
    data: Mapping[str, str] = field(default_factory=dict)
    #: A device that is out of reach for longer is not told any more.
    ttl_ms: int = 0
    #: A device shows one notification per key, the latest.
    collapse_key: str = ""

    def __post_init__(self) -> None:
        if not (self.title or self.body):
            raise ValueError("a notification without words is not shown")
        if not _COLLAPSE_KEY.fullmatch(self.collapse_key):
            raise ValueError(f"not a collapse key: {self.collapse_key!r}")
        if reserved := [key for key in self.data if _RESERVED.fullmatch(key)]:
            raise ValueError(f"FCM keeps these keys of data for itself: {reserved}")


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a push, in devices. FCM has taken it for those it was *sent* to; they may be out of reach."""

    sent: int = 0
    #: These are unregistered now: FCM does not know them any more.
    gone: int = 0
    #: FCM will never take this push, or none of ours; the log says why.
    refused: int = 0
    #: FCM could not say, or was busy.
    unsettled: int = 0
    #: When to push the same again, None where that would be in vain.
    again_after_seconds: float | None = None
    #: Whether there is a service account at all.
    configured: bool = True
