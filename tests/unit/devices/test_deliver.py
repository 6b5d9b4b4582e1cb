"""One push, from the store to Google and back."""

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
    Google,
    Said,
    refusal,
    violation,
)
from tests.unit.conftest import Printed
from tests.unit.devices.build import PERSON, REQUEST_ID, a_device, a_notification, put

Options = Callable[..., None]


def registered(devices: DeviceStore, username: str = PERSON) -> list[str]:
    return [device.device_id.removeprefix("device-") for device in devices.page(named(username), 99, None)]


def pushed(username: str = PERSON, **fields: Any) -> tuple[Delivered, dict[str, int]]:
    """Push, and return what came of it and what was counted."""
    with logs.invocation("test") as line:
        delivered = public.push(named(username), a_notification(**fields))
    return delivered, line.counts


def test_every_device_of_the_person_gets_it_and_no_other(devices: DeviceStore, google: Google) -> None:
    put(devices, "a", "b", "c")
    put(devices, "d", username="bob")
    assert pushed() == (Delivered(sent=3), {"pushes_sent": 3})
    assert google.tokens() == ["a", "b", "c"]
    assert {message["android"]["ttl"] for message in google.messages} == {"90s"}
    assert {message["android"]["notification"]["tag"] for message in google.messages} == {REQUEST_ID}


def test_a_person_without_devices_costs_nothing(devices: DeviceStore, google: Google) -> None:
    assert pushed() == (Delivered(), {})
    assert google.grants == 0


@pytest.mark.parametrize("ttl_ms", [0, -5])
def test_what_is_over_is_pushed_to_nobody(devices: DeviceStore, google: Google, ttl_ms: int) -> None:
    put(devices, "a")
    assert pushed(ttl_ms=ttl_ms)[0] == Delivered()
    assert google.messages == []


# --- devices that are gone


@pytest.mark.parametrize("said", [UNREGISTERED, BAD_TOKEN, OTHER_SENDER])
def test_a_device_that_fcm_does_not_know_is_unregistered(devices: DeviceStore, google: Google, said: Said) -> None:
    put(devices, "a", "b")
    google.says["a"] = [said]
    assert pushed() == (Delivered(sent=1, gone=1), {"pushes_sent": 1, "pushes_gone": 1})
    assert registered(devices) == ["b"]


@pytest.mark.parametrize("said", [violation("message.data[0].value"), DENIED, BUSY, QUOTA, Said(404, "no")])
def test_no_other_failure_costs_a_device(devices: DeviceStore, google: Google, said: Said) -> None:
    put(devices, "a")
    google.says["a"] = [said]
    pushed()
    assert registered(devices) == ["a"]


def test_a_device_that_renews_its_token_meanwhile_stays(
    devices: DeviceStore, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given FCM refuses a token that is replaced before we hear of it
    put(devices, "a")
    google.says["a"] = [UNREGISTERED]
    send = google.send

    def renewed(*asked: Any) -> Said:
        devices.put(named(PERSON), "device-a", a_device("a2"))
        return send(*asked)

    monkeypatch.setattr(google, "send", renewed)
    # When
    delivered, _ = pushed()
    # Then
    assert delivered.gone == 1
    assert [target.fcm_token for target in devices.targets(named(PERSON), REQUEST_ID)] == ["a2"]


# --- again


def test_a_repeat_is_for_those_who_were_not_told(devices: DeviceStore, google: Google) -> None:
    # Given
    put(devices, "a", "b", "c")
    google.says["b"] = [QUOTA, Said(200, {})]
    # When
    first, counted = pushed()
    # Then
    assert (first.sent, first.unsettled, counted) == (2, 1, {"pushes_sent": 2, "pushes_later": 1})
    assert first.again_after_seconds is not None
    assert 7 <= first.again_after_seconds <= 7 * 1.25
    # When it is pushed again, and once more for the sake of another person
    assert pushed()[0] == Delivered(sent=1)
    assert pushed()[0] == Delivered()
    assert google.tokens() == ["a", "b", "b", "c"]


def test_another_push_is_for_everyone(devices: DeviceStore, google: Google) -> None:
    put(devices, "a", "b")
    google.says["b"] = [BUSY]
    pushed()
    pushed(collapse_key="another")
    assert google.tokens() == ["a", "a", "b", "b"]


def test_who_asks_for_the_longest_pause_gets_it(devices: DeviceStore, google: Google) -> None:
    put(devices, "a", "b")
    google.says = {"a": [QUOTA], "b": [refusal(503, "UNAVAILABLE", Retry_After="30")]}
    again = pushed()[0].again_after_seconds
    assert again is not None
    assert 30 <= again <= 30 * 1.25


def test_nobody_is_told_again_when_it_would_be_over(devices: DeviceStore, google: Google) -> None:
    put(devices, "a")
    google.says["a"] = [QUOTA]
    assert pushed(ttl_ms=6_999)[0] == Delivered(unsettled=1)


def test_silence_is_worth_another_try(devices: DeviceStore, google: Google, options: Options) -> None:
    options(FCM_READ_TIMEOUT_MS="200")
    put(devices, "a", "b")
    google.says["a"] = [SILENCE]
    delivered, _ = pushed()
    assert (delivered.sent, delivered.unsettled) == (1, 1)
    assert delivered.again_after_seconds


_PUSH = """
from chalicelib import devices
from chalicelib.core.runtime.accounts import named
from tests.unit.devices.build import PERSON, a_notification
devices.push(named(PERSON), a_notification())
"""


def test_a_process_that_dies_half_way_leaves_everything_to_the_next(devices: DeviceStore, google: Google) -> None:
    # Given one device has it, and the process is killed while it waits for the other
    put(devices, "a", "b")
    google.says["b"] = [SILENCE, Said(200, {})]
    doomed = subprocess.Popen([sys.executable, "-W", "ignore", "-c", _PUSH], env=dict(os.environ))
    while google.tokens() != ["a", "b"]:
        assert doomed.poll() is None
    doomed.send_signal(signal.SIGKILL)
    doomed.wait()
    # When the message comes again
    assert pushed()[0] == Delivered(sent=2)
    # Then the one that has it is sent it in the place of the first
    tags = {message["android"]["notification"]["tag"] for message in google.messages}
    assert (google.tokens(), tags) == (["a", "a", "b", "b"], {REQUEST_ID})


# --- what someone has to see to


def test_a_fault_of_the_configuration_is_counted_and_logged_once(
    devices: DeviceStore, google: Google, printed: Printed
) -> None:
    # Given
    put(devices, "secret-a", "secret-b")
    google.says = {"secret-a": [DENIED], "secret-b": [DENIED]}
    # When
    with logs.invocation("test") as line:
        line.add(requestId="cause-1")
        delivered = public.push(named(PERSON), a_notification())
    # Then
    assert delivered == Delivered(refused=2)
    assert line.counts == {"pushes_misconfigured": 2}
    (told,) = (line for line in printed.lines() if line.get("action"))
    assert (told["action"], told["level"], told["requestId"]) == ("push_misconfigured", "ERROR", "cause-1")
    assert "403 PERMISSION_DENIED" in told["message"]
    assert not {word for word in ("secret-a", "secret-b", "PRIVATE KEY", "ya29") if word in printed.getvalue()}


def test_a_message_that_fcm_refuses_is_counted_and_logged(
    devices: DeviceStore, google: Google, printed: Printed
) -> None:
    put(devices, "a")
    google.says["a"] = [violation("message.data[0].value")]
    assert pushed() == (Delivered(refused=1), {"pushes_refused": 1})
    assert [line["action"] for line in printed.lines() if line.get("action")] == ["push_refused"]


def test_devices_that_are_gone_are_no_fault(devices: DeviceStore, google: Google, printed: Printed) -> None:
    put(devices, "a")
    google.says["a"] = [UNREGISTERED]
    pushed()
    assert not [line for line in printed.lines() if line.get("action")]


def test_the_longest_question_there_is_fits(devices: DeviceStore, google: Google) -> None:
    put(devices, "a")
    delivered, _ = pushed(title="€" * 200, body="😀" * 10_000, data={"requestId": REQUEST_ID, "more": "x" * 100_000})
    assert delivered == Delivered(sent=1)
    assert google.messages[0]["data"] == {"requestId": REQUEST_ID}


# --- the service account


def test_without_a_service_account_nothing_is_sent_and_it_is_said_so(devices: DeviceStore, unconfigured: None) -> None:
    put(devices, "a")
    assert pushed() == (Delivered(configured=False), {"pushes_unconfigured": 1})


@pytest.mark.parametrize("nested", [False, True], ids=["text", "json"])
def test_the_service_account_may_be_in_the_secret(
    devices: DeviceStore, google: Google, options: Options, aws: None, nested: bool
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


def test_a_secret_without_a_service_account_is_none(
    devices: DeviceStore, options: Options, aws: None, unconfigured: None
) -> None:
    boto3.client("secretsmanager").create_secret(Name="holdfast-unit", SecretString='{"mongodbUri": "x"}')
    options(HOLDFAST_SECRET_ID="holdfast-unit")
    clients._secrets.cache_clear()
    assert pushed()[0] == Delivered(configured=False)
    clients._secrets.cache_clear()


def test_the_slice_costs_no_http_client_until_something_is_pushed() -> None:
    code = "import sys, chalicelib.devices.api; print({'urllib3', 'google.auth'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_what_is_public_stays_a_function_after_it_was_used(devices: DeviceStore, google: Google) -> None:
    pushed()
    assert callable(public.push)
    assert public.Notification is Notification
