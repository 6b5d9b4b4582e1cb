"""A push, from the store to FCM and back."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from chalicelib import devices as public
from chalicelib.core.runtime import logs
from chalicelib.core.runtime.accounts import named
from chalicelib.core.stores import clients
from chalicelib.devices.models import Delivered, Notification
from chalicelib.devices.store import DeviceStore
from tests.support.fcm_server import (
    BAD_TOKEN,
    BUSY,
    DENIED,
    OTHER_SENDER,
    QUOTA,
    SILENCE,
    UNREGISTERED,
    FcmAnswer,
    FcmServer,
    refusal,
    violation,
)
from tests.unit.conftest import Printed
from tests.unit.devices.build import PERSON, REQUEST_ID, a_device, a_notification, put

Options = Callable[..., None]


def registered(devices: DeviceStore, username: str = PERSON) -> list[str]:
    return [device.device_id.removeprefix("device-") for device in devices.page(named(username), 99, None)]


def pushed(username: str = PERSON, **fields: Any) -> tuple[Delivered, dict[str, int]]:
    """Push, and return the result and the counts of the log record."""
    with logs.invocation("test") as line:
        delivered = public.push(named(username), a_notification(**fields))
    return delivered, line.counts


def test_a_push_reaches_every_device_of_the_person_alone(devices: DeviceStore, google: FcmServer) -> None:
    put(devices, "a", "b", "c")
    put(devices, "d", username="bob")
    assert pushed() == (Delivered(sent=3), {"pushes_sent": 3})
    assert google.tokens() == ["a", "b", "c"]
    assert {message["android"]["ttl"] for message in google.messages} == {"90s"}
    assert {message["android"]["notification"]["tag"] for message in google.messages} == {REQUEST_ID}


def test_a_person_without_devices_costs_nothing(devices: DeviceStore, google: FcmServer) -> None:
    assert pushed() == (Delivered(), {})
    assert google.grants == 0


@pytest.mark.parametrize("ttl_ms", [0, -5])
def test_an_expired_notification_is_not_pushed(devices: DeviceStore, google: FcmServer, ttl_ms: int) -> None:
    put(devices, "a")
    assert pushed(ttl_ms=ttl_ms)[0] == Delivered()
    assert google.messages == []


# --- devices that are gone


@pytest.mark.parametrize("said", [UNREGISTERED, BAD_TOKEN, OTHER_SENDER])
def test_a_device_unknown_to_fcm_is_removed(devices: DeviceStore, google: FcmServer, said: FcmAnswer) -> None:
    put(devices, "a", "b")
    google.answers["a"] = [said]
    assert pushed() == (Delivered(sent=1, gone=1), {"pushes_sent": 1, "pushes_gone": 1})
    assert registered(devices) == ["b"]


@pytest.mark.parametrize("said", [violation("message.data[0].value"), DENIED, BUSY, QUOTA, FcmAnswer(404, "no")])
def test_other_failures_keep_the_device(devices: DeviceStore, google: FcmServer, said: FcmAnswer) -> None:
    put(devices, "a")
    google.answers["a"] = [said]
    pushed()
    assert registered(devices) == ["a"]


def test_a_device_that_renews_its_token_during_a_push_stays(
    devices: DeviceStore, google: FcmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a token that is replaced before FCM's refusal arrives
    put(devices, "a")
    google.answers["a"] = [UNREGISTERED]
    send = google.send

    def renewed(*asked: Any) -> FcmAnswer:
        devices.put(named(PERSON), "device-a", a_device("a2"))
        return send(*asked)

    monkeypatch.setattr(google, "send", renewed)
    # When
    delivered, _ = pushed()
    # Then
    assert delivered.gone == 1
    assert [target.fcm_token for target in devices.targets(named(PERSON), REQUEST_ID)] == ["a2"]


# --- again


def test_a_repeated_push_goes_to_unnotified_devices_alone(devices: DeviceStore, google: FcmServer) -> None:
    # Given
    put(devices, "a", "b", "c")
    google.answers["b"] = [QUOTA, FcmAnswer(200, {})]
    # When
    first, counted = pushed()
    # Then
    assert (first.sent, first.unsettled, counted) == (2, 1, {"pushes_sent": 2, "pushes_later": 1})
    assert first.again_after_seconds is not None
    assert 7 <= first.again_after_seconds <= 7 * 1.25
    # When the push is repeated, and repeated again for another person
    assert pushed()[0] == Delivered(sent=1)
    assert pushed()[0] == Delivered()
    assert google.tokens() == ["a", "b", "b", "c"]


def test_a_push_of_another_collapse_key_goes_to_every_device(devices: DeviceStore, google: FcmServer) -> None:
    put(devices, "a", "b")
    google.answers["b"] = [BUSY]
    pushed()
    pushed(collapse_key="another")
    assert google.tokens() == ["a", "a", "b", "b"]


def test_the_longest_pause_of_a_push_wins(devices: DeviceStore, google: FcmServer) -> None:
    put(devices, "a", "b")
    google.answers = {"a": [QUOTA], "b": [refusal(503, "UNAVAILABLE", Retry_After="30")]}
    again = pushed()[0].again_after_seconds
    assert again is not None
    assert 30 <= again <= 30 * 1.25


def test_a_retry_after_the_expiry_is_not_planned(devices: DeviceStore, google: FcmServer) -> None:
    put(devices, "a")
    google.answers["a"] = [QUOTA]
    assert pushed(ttl_ms=6_999)[0] == Delivered(unsettled=1)


def test_a_silent_fcm_leaves_the_device_for_a_retry(devices: DeviceStore, google: FcmServer, options: Options) -> None:
    options(FCM_READ_TIMEOUT_MS="200")
    put(devices, "a", "b")
    google.answers["a"] = [SILENCE]
    delivered, _ = pushed()
    assert (delivered.sent, delivered.unsettled) == (1, 1)
    assert delivered.again_after_seconds


_PUSH = """
from chalicelib import devices
from chalicelib.core.runtime.accounts import named
from tests.unit.devices.build import PERSON, a_notification
devices.push(named(PERSON), a_notification())
"""


def test_a_push_after_a_killed_process_reaches_every_device(devices: DeviceStore, google: FcmServer) -> None:
    # Given a process that is killed after the first push, while the second waits
    put(devices, "a", "b")
    google.answers["b"] = [SILENCE, FcmAnswer(200, {})]
    doomed = subprocess.Popen([sys.executable, "-W", "ignore", "-c", _PUSH], env=dict(os.environ))
    while google.tokens() != ["a", "b"]:
        assert doomed.poll() is None
    doomed.send_signal(signal.SIGKILL)
    doomed.wait()
    # When the message comes again
    assert pushed()[0] == Delivered(sent=2)
    # Then the second copy has the first copy's tag, and so replaces the first copy on the device
    tags = {message["android"]["notification"]["tag"] for message in google.messages}
    assert (google.tokens(), tags) == (["a", "a", "b", "b"], {REQUEST_ID})


# --- faults for an operator


def test_a_fault_of_the_configuration_is_counted_and_logged_once(
    devices: DeviceStore, google: FcmServer, printed: Printed
) -> None:
    # Given
    put(devices, "secret-a", "secret-b")
    google.answers = {"secret-a": [DENIED], "secret-b": [DENIED]}
    # When
    with logs.invocation("test") as line:
        line.add(requestId="cause-1")
        delivered = public.push(named(PERSON), a_notification())
    # Then
    assert delivered == Delivered(refused=2)
    assert line.counts == {"pushes_misconfigured": 2}
    (record,) = (line for line in printed.lines() if line.get("action"))
    assert (record["action"], record["level"], record["requestId"]) == ("push_misconfigured", "ERROR", "cause-1")
    assert "403 PERMISSION_DENIED" in record["message"]
    assert not {word for word in ("secret-a", "secret-b", "PRIVATE KEY", "ya29") if word in printed.getvalue()}


def test_a_message_that_fcm_refuses_is_counted_and_logged(
    devices: DeviceStore, google: FcmServer, printed: Printed
) -> None:
    put(devices, "a")
    google.answers["a"] = [violation("message.data[0].value")]
    assert pushed() == (Delivered(refused=1), {"pushes_refused": 1})
    assert [line["action"] for line in printed.lines() if line.get("action")] == ["push_refused"]


def test_a_device_unknown_to_fcm_is_not_logged_as_a_fault(
    devices: DeviceStore, google: FcmServer, printed: Printed
) -> None:
    put(devices, "a")
    google.answers["a"] = [UNREGISTERED]
    pushed()
    assert not [line for line in printed.lines() if line.get("action")]


def test_the_longest_question_is_pushed(devices: DeviceStore, google: FcmServer) -> None:
    put(devices, "a")
    delivered, _ = pushed(title="€" * 200, body="😀" * 10_000, data={"requestId": REQUEST_ID, "more": "x" * 100_000})
    assert delivered == Delivered(sent=1)
    assert google.messages[0]["data"] == {"requestId": REQUEST_ID}


# --- the service account


def test_a_push_without_a_service_account_is_counted(devices: DeviceStore, unconfigured: None) -> None:
    put(devices, "a")
    assert pushed() == (Delivered(configured=False), {"pushes_unconfigured": 1})


@pytest.mark.parametrize("nested", [False, True], ids=["text", "json"])
def test_the_service_account_may_be_in_the_secret(
    devices: DeviceStore, google: FcmServer, options: Options, aws: None, nested: bool
) -> None:
    # Given
    account = google.service_account()
    secret = {"mongodbUri": "x", "fcmServiceAccount": json.loads(account) if nested else account}
    boto3.client("secretsmanager").create_secret(Name="holdfast-unit", SecretString=json.dumps(secret))
    options(HOLDFAST_SECRET_ID="holdfast-unit", FCM_SERVICE_ACCOUNT="")
    clients._secrets.cache_clear()
    put(devices, "a")
    # When
    delivered, _ = pushed()
    # Then
    clients._secrets.cache_clear()
    assert delivered == Delivered(sent=1)


def test_a_secret_without_a_service_account_is_unconfigured(
    devices: DeviceStore, options: Options, aws: None, unconfigured: None
) -> None:
    boto3.client("secretsmanager").create_secret(Name="holdfast-unit", SecretString='{"mongodbUri": "x"}')
    options(HOLDFAST_SECRET_ID="holdfast-unit")
    clients._secrets.cache_clear()
    assert pushed()[0] == Delivered(configured=False)
    clients._secrets.cache_clear()


def test_importing_the_slice_imports_no_http_client() -> None:
    code = "import sys, chalicelib.devices.api; print({'urllib3', 'google.auth'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_the_public_functions_stay_after_the_first_push(devices: DeviceStore, google: FcmServer) -> None:
    pushed()
    assert callable(public.push)
    assert public.Notification is Notification
