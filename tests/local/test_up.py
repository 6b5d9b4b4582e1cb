"""``scripts/up``: what it shows, and that nothing is left of it however it ends."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from pymongo import MongoClient

from infra.environment import ROOT
from infra.host import ports
from infra.local.processes.mongod import Mongod
from infra.operations import running_stack
from tests.support.up import Up, run, shell
from tests.support.waiting import eventually, gone, processes_on

#: All that a copy of the repository needs to be started.
COPIED = ("app.py", "chalicelib", ".chalice", "infra", "pyproject.toml", "requirements.txt", "requirements-dev.txt")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One that runs, for the tests that do it no harm."""
    data = tmp_path_factory.mktemp("up") / "data"
    with Up(data) as running:
        yield running.ready()
    assert processes_on(data) == []


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder on which nothing may be left running."""
    yield tmp_path / "data"
    assert processes_on(tmp_path / "data") == []


def copied(folder: Path) -> Path:
    """Return a copy of the repository, for changes to be made to it."""
    folder.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy(ROOT / name, folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


# While it runs.


def test_it_shows_its_steps_the_url_and_the_administrators_password(up: Up) -> None:
    for words in ("✓ database", "✓ AWS endpoint", "✓ package", "✓ deployment", "✓ administrator", "user      admin"):
        assert words in up.said
    assert f"http://localhost:{up.port} " in up.said
    (password,) = (line.split()[1] for line in up.said.splitlines() if line.strip().startswith("password"))
    session = requests.post(f"{up.url}/api/sessions", json={"username": "admin", "password": password}, timeout=30)
    assert session.status_code == 201


def test_what_functions_log_is_shown_as_one_line_each(up: Up) -> None:
    request = requests.get(f"{up.url}/health", headers={"X-Request-Id": "shown-once"}, timeout=30)
    assert request.status_code == 200
    up.says("shown-once")
    (line,) = (line for line in up.said.splitlines() if "shown-once" in line)
    assert line.split()[1:5] == ["api", "200", "GET", "/health"]


def test_a_second_one_on_the_same_data_says_where_the_first_is(up: Up) -> None:
    second = run(up.data)
    assert second.returncode == 1
    assert f"It already runs: http://localhost:{up.port}." in second.stdout
    assert up.health()["status"] == "ok"


def test_one_on_a_taken_port_says_by_whom_it_is_taken_and_starts_nothing(up: Up, data: Path) -> None:
    other = run(data, "--port", str(up.port))
    assert other.returncode == 1
    assert f"Port {up.port} is taken by" in other.stdout
    assert f"(process {up.pid})" in other.stdout
    assert "scripts/up --port" in other.stdout
    assert not (data / "mongod").exists()


def test_status_shows_its_processes(up: Up) -> None:
    shown = run(up.data, "--status")
    assert shown.returncode == 0
    for words in (f"http://localhost:{up.port}", "supervisor and front", "mongod", "AWS endpoint"):
        assert words in shown.stdout


def test_a_program_reaches_it_with_the_variables_it_prints(up: Up) -> None:
    exports = run(up.data, "--env").stdout
    program = (
        "from chalicelib.core.stores import clients\n"
        "print(clients.mongodb().command('ping')['ok'], clients.aws('dynamodb').list_tables()['TableNames'])"
    )
    done = subprocess.run(
        ["bash", "-c", f'{exports}\nexec "$0" -c "$1"', sys.executable, program],
        cwd=ROOT, env=shell(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("1.0 [")
    assert "holdfast-local-users" in done.stdout


def test_only_the_front_and_its_own_parts_listen_and_only_on_this_machine(up: Up) -> None:
    supervisor = psutil.Process(up.pid)
    listening = [
        (process.pid, connection.laddr.ip)
        for process in [supervisor, *supervisor.children(recursive=True)]
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address for _, address in listening} == {"127.0.0.1"}
    assert {pid for pid, _ in listening} == {up.pid, up.child("mongod"), up.child("emulator")}


# How it ends.


@pytest.mark.parametrize("step", ["AWS endpoint", "package", "deployment"])
def test_ctrl_c_ends_a_start_after_any_step(data: Path, step: str) -> None:
    with Up(data) as up:
        up.says(f"✓ {step}").send(signal.SIGINT)
        assert up.ended() in (0, 128 + signal.SIGINT)
        assert "Traceback" not in up.said
    assert processes_on(data) == []
    assert run(data, "--status").returncode == 1


def test_a_killed_one_leaves_no_process_and_the_next_one_finds_its_data(data: Path) -> None:
    # Given one with a user of its own
    with Up(data) as up:
        up.ready()
        children = [child.pid for child in psutil.Process(up.pid).children(recursive=True)]
        (password,) = (line.split()[1] for line in up.said.splitlines() if line.strip().startswith("password"))

        # When nothing but the supervisor is killed
        up.send(signal.SIGKILL)
        up.ended()

    # Then all is gone, and the next one starts with what was there
    eventually(lambda: all(gone(child) for child in children))
    assert run(data, "--status").returncode == 1
    with Up(data) as again:
        again.ready()
        credentials = {"username": "admin", "password": password}
        assert requests.post(f"{again.url}/api/sessions", json=credentials, timeout=30).status_code == 201
        again.send(signal.SIGHUP)
        assert again.ended() == 0


@pytest.mark.parametrize(("part", "named"), [("mongod", "mongod"), ("emulator", "the AWS emulator")])
def test_a_child_that_crashes_is_named_and_takes_everything_along(data: Path, part: str, named: str) -> None:
    with Up(data) as up:
        up.ready()
        os.kill(up.child(part), signal.SIGKILL)
        assert up.ended() == 1
        assert f"{named} ended unexpectedly. The end of {data / part / part}.log:" in up.said


def test_in_the_background_it_runs_until_it_is_stopped(data: Path) -> None:
    # Given data that is no data, which --fresh deletes
    (data / "mongod/data").mkdir(parents=True)
    (data / "mongod/data/WiredTiger").write_text("not a database")
    port = ports.free()
    started = run(data, "--fresh", "--detach", "--port", str(port))
    try:
        assert started.returncode == 0
        assert f"http://localhost:{port} " in started.stdout
        assert "password" in started.stdout
        assert requests.get(f"http://127.0.0.1:{port}/health", timeout=30).status_code == 200
        password = next(line.split()[1] for line in started.stdout.splitlines() if "password" in line)
        assert all(password not in file.read_text() for file in (data / "up.log", data / "run.json"))
    finally:
        stopped = run(data, "--stop")
    assert stopped.returncode == 0
    assert processes_on(data) == []
    assert run(data, "--stop").returncode == 0, "nothing to stop is no fault"


def test_a_start_in_the_background_that_fails_says_why(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        started = run(data, "--detach", "--port", str(port))
    assert started.returncode == 1
    assert f"Port {port} is taken" in started.stdout


def test_an_endpoint_that_nobody_serves_is_named_with_its_variable(data: Path) -> None:
    url = f"http://127.0.0.1:{ports.free()}"
    with Up(data, AWS_ENDPOINT_URL=url) as up:
        assert up.ended() == 1
        assert f"AWS_ENDPOINT_URL names {url}, where nobody answers." in up.said


def test_a_mongodb_that_already_runs_is_used_and_left_running(data: Path, tmp_path: Path) -> None:
    mongod = Mongod(tmp_path / "another")
    mongod.start()
    try:
        with Up(data, MONGODB_URI=mongod.uri) as up:
            up.ready()
            assert "✓ database" not in up.said
            assert requests.get(f"{up.url}/ready", timeout=30).status_code == 200
        assert mongod.child.alive
        assert not (data / "mongod").exists()
    finally:
        mongod.stop()


def test_data_folder_of_an_earlier_release_is_found_again(data: Path) -> None:
    # Given a data folder as earlier releases leave it: collections in `holdfast`, and no mark
    mongod = Mongod(data / "mongod")
    mongod.start()
    try:
        with MongoClient[dict[str, Any]](mongod.uri) as client:
            client.holdfast.devices.insert_one({"_id": "of an earlier release"})
    finally:
        mongod.stop()
    # When
    with Up(data) as up:
        up.ready()
        # Then the functions use that database and no other
        environment = (running_stack.read(data) or pytest.fail("no note")).environment
        with MongoClient[dict[str, Any]](environment["MONGODB_URI"]) as client:
            assert client.get_default_database().devices.find_one({"_id": "of an earlier release"})
            assert client.holdfast.deployment.count_documents({"stage": "local"}) == 1
            assert set(client.list_database_names()) == {"admin", "config", "holdfast", "local"}
            client.holdfast.deployment.update_one({}, {"$set": {"deploymentId": "lost with its tables"}})
    # And a deployment whose tables were lost, as those of a killed emulator are, finds the data again too
    with Up(data) as up:
        up.ready()


# While somebody works on it.


def test_a_saved_change_serves_and_a_broken_one_does_not(tmp_path: Path, data: Path) -> None:
    copy = copied(tmp_path / "copy")
    door, code = copy / "app.py", (copy / "app.py").read_text()

    with Up(data, "--reload", root=copy) as up:
        instance = up.ready().health()["instanceId"]

        # A change serves.
        door.write_text(f"{code}\n# changed\n")
        up.says("app.py serves after")
        assert up.health()["instanceId"] != instance

        # What does not parse, or does not import, is shown, and the code before it keeps serving.
        instance = up.health()["instanceId"]
        door.write_text(f"{code}\ndef (:\n")
        up.says("app.py does not parse: invalid syntax (app.py, line")
        door.write_text(f"{code}\nimport nothing_like_it\n")
        up.says("No module named 'nothing_like_it'")
        assert up.health()["instanceId"] == instance

        # Ctrl-C still ends it.
        up.send(signal.SIGINT)
        assert up.ended() == 0
