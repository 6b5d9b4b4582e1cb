"""scripts/serve: the same API from long-running processes, with many callers in each."""

import secrets
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
import pytest
import requests

from infra.environment import ROOT
from infra.local.stack import Stack
from tests.integration.test_applications import FIELDS, PATH
from tests.support.approvals import pending, read_request, request_path, waiting
from tests.support.client import Client, at_once, json_of, patiently, problem_of
from tests.support.server import ServeProcess
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

pytestmark = pytest.mark.stack

#: Limits so small that the tests use every thread.
HELD, THREADS = 2, 4


@pytest.fixture(scope="module")
def served(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    with ServeProcess(stack, tmp_path_factory.mktemp("served"), held=HELD, threads=THREADS) as served:
        yield served


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


# --- one API, two doors


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/health", None),
        ("PUT", "/health", None),
        ("GET", "/openapi.json", None),
        ("GET", "/api/users/%C3%A4", None),
        ("GET", "/api/users/admin%40x", None),
        ("GET", "/api/sessions/current", None),
        ("GET", f"{PATH}?limit=0&status=lost", None),
        ("GET", f"{PATH}?limit=1&sort=-amountMinor&q=ad%61", None),
        ("POST", PATH, {"applicantName": ""}),
        ("POST", PATH, {"applicantName": "Zoë", **FIELDS, "unknown": 1}),
        ("PUT", f"{PATH}/none", {"termMonths": 1}),
        ("PUT", f"{PATH}/none", {"termMonths": 1, "version": 1}),
        ("DELETE", f"{PATH}/none?version=1", None),
    ],
)
def test_both_entry_points_give_the_same_answer(
    admin: Client, served: ServeProcess, method: str, path: str, body: Any
) -> None:
    answers = [caller.call(method, path, body) for caller in (admin, admin.at(served.url))]
    first, second = [_stable_parts(answer) for answer in answers]
    assert first == second


def test_a_callback_to_the_servers_own_port_is_refused(admin: Client, served: ServeProcess) -> None:
    for url in (served.url, admin.url):
        question = {"username": "admin", "wait": False, "callbackUrl": url}
        assert problem_of(admin.at(served.url).post("/send-notification", question), 422)["code"] == "address-refused"


def _stable_parts(answer: requests.Response) -> Any:
    """Return status, headers and body without the values that differ from call to call."""
    body = answer.json()
    for name in ("requestId", "instanceId", "uptimeSeconds", "lastSeenAt"):
        body.pop(name, None)
    headers = {
        name: answer.headers.get(name) for name in ("Content-Type", "Cache-Control", "Allow", "WWW-Authenticate")
    }
    return answer.status_code, headers, body


def test_malformed_bodies_are_refused_as_by_the_gateway(admin: Client, served: ServeProcess) -> None:
    caller = admin.at(served.url)
    problem_of(caller.post(PATH, raw=b"{"), 400)
    problem_of(caller.post(PATH, raw=b"\xff\xfe"), 400)
    problem_of(caller.call("POST", PATH, raw=b"a=b", headers={"Content-Type": "text/plain"}), 415)
    problem_of(caller.post(PATH, raw=b" " * 1_000_001), 413)
    problem_of(Client(served.url).get(PATH), 401)
    problem_of(caller.get("/nothing/here"), 404)


def test_a_change_by_either_entry_point_is_seen_by_the_other(admin: Client, served: ServeProcess) -> None:
    there = admin.at(served.url)
    made = json_of(there.post(PATH, FIELDS), 201)
    path = f"{PATH}/{made['applicationId']}"
    changed = json_of(admin.call("PUT", path, {"termMonths": 7, "version": 1}))
    assert json_of(there.get(path)) == changed
    assert problem_of(there.call("PUT", path, {"termMonths": 8, "version": 1}), 409)["currentVersion"] == 2


def test_racing_changes_by_both_entry_points_have_one_winner(admin: Client, served: ServeProcess) -> None:
    doors = [admin, admin.at(served.url)]
    path = f"{PATH}/{json_of(admin.post(PATH, FIELDS), 201)['applicationId']}"
    changes = [partial(doors[n % 2].call, "PUT", path, {"termMonths": 1 + n, "version": 1}) for n in range(100)]
    answers = at_once([partial(patiently, change) for change in changes])
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 99
    assert {problem_of(answer, 409)["currentVersion"] for answer in answers if answer.status_code == 409} == {2}


def test_a_deployed_stage_is_served_by_its_name(stack: Stack, tmp_path: Path, admin: Client) -> None:
    with ServeProcess(stack, tmp_path, processes=1, as_deployed=True) as deployed:
        made = json_of(admin.at(deployed.url).post(PATH, FIELDS), 201)
    assert json_of(admin.get(f"{PATH}/{made['applicationId']}")) == made


# --- many callers in one process


def test_callers_of_a_shared_process_get_their_own_answers(served: ServeProcess, person: NewPerson) -> None:
    people = [person("officer") for _ in range(8)]

    def turn(number: int) -> None:
        asking = people[number % len(people)]
        caller, name = asking.client.at(served.url), f"N{number} {secrets.token_hex(8)}"
        request_id = f"r-{number}-{secrets.token_hex(4)}"
        answer = caller.call("POST", PATH, {**FIELDS, "applicantName": name}, headers={"X-Request-Id": request_id})
        made = json_of(answer, 201)
        assert answer.headers["X-Request-Id"] == request_id
        assert (made["applicantName"], made["createdBy"]) == (name, asking.username)
        assert json_of(caller.get("/api/sessions/current"))["username"] == asking.username
        assert json_of(caller.get(f"{PATH}/{made['applicationId']}")) == made

    at_once([partial(turn, number) for number in range(64)])


def test_every_process_has_an_instance_id_of_its_own(served: ServeProcess) -> None:
    def instances() -> bool:
        # A new connection for each call, as a connection stays with its process.
        seen = {requests.get(f"{served.url}/health", timeout=5).headers["X-Instance-Id"] for _ in range(20)}
        return len(seen) == served.processes

    eventually(instances)


def test_waiting_calls_leave_threads_for_others_and_get_answers(
    stack: Stack, tmp_path: Path, admin: Client, person: NewPerson
) -> None:
    with ServeProcess(stack, tmp_path, processes=1, held=HELD, threads=1) as one_process:
        caller, asked = admin.at(one_process.url), person()
        question = partial(caller.post, "/send-notification", {"username": asked.username})
        with waiting(question) as first, waiting(question) as second:
            requests_ = pending(asked.client, asked.username, count=HELD)
            # A further question is 503, a further long poll gets the snapshot; a call that does not wait is answered.
            problem_of(question(), 503)
            began = monotonic()
            assert json_of(caller.get(request_path(requests_[0]) + "?waitMs=20000"))["status"] == "pending"
            assert monotonic() - began < 10
            json_of(caller.post("/send-notification", {"username": asked.username, "wait": False}), 202)
            assert read_request(admin, requests_[0])["status"] == "pending"
            json_of(caller.get("/api/sessions/current"))
            for request_id in requests_:
                path = request_path(request_id, "resolve")
                json_of(asked.client.at(one_process.url).post(path, {"action": "approve"}))
            assert {json_of(call.result())["requestId"] for call in (first, second)} == set(requests_)


# --- processes that die


def test_a_process_that_is_killed_is_replaced(served: ServeProcess) -> None:
    victim, *others = served.workers()
    victim.kill()
    eventually(lambda: served.ready() and victim not in served.workers())
    assert set(others) < set(served.workers())
    assert requests.get(f"{served.url}/health", timeout=5).ok


def test_a_process_that_dies_again_at_once_ends_the_server(stack: Stack, tmp_path: Path) -> None:
    with ServeProcess(stack, tmp_path, processes=1) as served:
        for _ in range(2):
            eventually(served.workers)[0].kill()
        assert served.wait() == 1


def test_a_process_raises_its_limit_of_open_files(served: ServeProcess) -> None:
    for worker in served.workers():
        # The test starts the command with a soft limit of 256.
        soft, hard = worker.rlimit(psutil.RLIMIT_NOFILE)
        assert soft == hard > 256


def test_a_stopping_server_answers_its_waiting_calls(
    stack: Stack, tmp_path: Path, admin: Client, person: NewPerson
) -> None:
    with ServeProcess(stack, tmp_path) as ending:
        asked, workers = person(), ending.workers()
        with waiting(partial(admin.at(ending.url).post, "/send-notification", {"username": asked.username})) as call:
            (request_id,) = pending(asked.client, asked.username)
            ending.send_stop()
            # The waiting call must still be answered.
            json_of(asked.client.post(request_path(request_id, "resolve"), {"action": "approve"}))
            assert json_of(call.result())["action"] == "approve"
            assert ending.stop() == 0
    assert all(gone(worker) for worker in workers)


def test_ctrl_c_ends_every_process_at_once(stack: Stack, tmp_path: Path) -> None:
    with ServeProcess(stack, tmp_path) as served:
        workers = served.workers()
        assert served.interrupt() == 0
    assert all(gone(worker) for worker in workers)
    assert "Traceback" not in served.log.read_text()


def test_a_killed_supervisor_leaves_no_process(stack: Stack, tmp_path: Path) -> None:
    with ServeProcess(stack, tmp_path) as served:
        workers = served.workers()
        served.kill()
        eventually(lambda: all(gone(worker) for worker in workers))
        assert _refuses(served.url)


def _refuses(url: str) -> bool:
    try:
        requests.get(f"{url}/health", timeout=1)
    except requests.ConnectionError:
        return True
    return False


# --- the command


def _run_serve(*arguments: object) -> tuple[int, str]:
    done = subprocess.run(
        [ROOT / "scripts/serve", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_a_wrong_start_ends_with_a_message_and_the_remedy(served: ServeProcess, tmp_path: Path) -> None:
    code, words = _run_serve("--help")
    assert (code, "--held" in words, "scripts/serve --stage prod" in words) == (0, True, True)
    code, words = _run_serve("--data", tmp_path)
    assert (code, "scripts/up" in words) == (1, True)
    code, words = _run_serve("--data", served.log.parent, "--port", served.port)
    assert (code, f"Port {served.port} is taken" in words, "--port" in words) == (1, True, True)
    for wrong, why in ((("--threads", 0), "above 0"), (("--port", 70_000), "65535"), (("--host", "here"), "host")):
        code, words = _run_serve(*wrong)
        assert (code, why in words) == (2, True)
    code, words = _run_serve("--data", served.log.parent, "--host", "192.0.2.1")
    assert (code, "cannot listen" in words) == (1, True)
