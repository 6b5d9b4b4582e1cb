"""``scripts/up``: its output, and no process left after any end."""

import json
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

#: The files that a copy of the repository needs for a start.
REQUIREMENTS = ("requirements.txt", "requirements-package.txt", "requirements-dev.txt")
COPIED = ("app.py", "chalicelib", ".chalice", "infra", "pyproject.toml", *REQUIREMENTS)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A running stack, for tests that leave it intact."""
    data = tmp_path_factory.mktemp("up") / "data"
    with Up(data) as running:
        yield running.ready()
    assert processes_on(data) == []


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder; no process may run on it after the test."""
    yield tmp_path / "data"
    assert processes_on(tmp_path / "data") == []


def copied(folder: Path) -> Path:
    """Return a copy of the repository that a test may change."""
    folder.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy(ROOT / name, folder)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


# A running stack.


def test_a_start_shows_its_steps_url_and_admin_password(up: Up) -> None:
    for words in (
        "✓ database",
        "✓ AWS endpoint",
        "✓ package",
        "✓ deployment",
        "✓ administrator",
        "functions Python 3.",
        "user      admin",
        "/console/",
    ):
        assert words in up.output
    assert f"http://localhost:{up.port} " in up.output
    (password,) = (line.split()[1] for line in up.output.splitlines() if line.strip().startswith("password"))
    session = requests.post(f"{up.url}/api/sessions", json={"username": "admin", "password": password}, timeout=30)
    assert session.status_code == 201


def test_a_request_is_shown_as_one_log_line(up: Up) -> None:
    request = requests.get(f"{up.url}/health", headers={"X-Request-Id": "shown-once"}, timeout=30)
    assert request.status_code == 200
    up.wait_for("shown-once")
    (line,) = (line for line in up.output.splitlines() if "shown-once" in line)
    assert line.split()[1:5] == ["api", "200", "GET", "/health"]


def test_a_second_start_on_a_data_folder_names_the_first_url(up: Up) -> None:
    second = run(up.data)
    assert second.returncode == 1
    assert f"It already runs: http://localhost:{up.port}." in second.stdout
    assert up.health()["status"] == "ok"


def test_a_start_on_a_taken_port_names_its_holder_and_ends(up: Up, data: Path) -> None:
    other = run(data, "--port", str(up.port))
    assert other.returncode == 1
    assert f"Port {up.port} is taken by" in other.stdout
    assert f"(process {up.pid})" in other.stdout
    assert "scripts/up --port" in other.stdout
    assert not (data / "mongod").exists()


def test_status_shows_the_processes_of_the_stack(up: Up) -> None:
    shown = run(up.data, "--status")
    assert shown.returncode == 0
    receiver = f"http://127.0.0.1:{(up.data / 'receiver/port').read_text()}"
    for words in (f"http://localhost:{up.port}", "supervisor and front", "mongod", "AWS endpoint", receiver):
        assert words in shown.stdout
    assert " MB  receiver of callbacks" in shown.stdout
    assert f"receiver  {receiver} " in up.output
    assert json.loads(run(up.data, "--status", "--json").stdout)["receiver"] == receiver


def test_a_program_reaches_the_stack_with_the_variables_of_env(up: Up) -> None:
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


def test_the_stack_listens_on_the_loopback_address_alone(up: Up) -> None:
    supervisor = psutil.Process(up.pid)
    listening = [
        (process.pid, connection.laddr.ip)
        for process in [supervisor, *supervisor.children(recursive=True)]
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address for _, address in listening} == {"127.0.0.1"}
    assert {pid for pid, _ in listening} == {up.pid, *map(up.child, ("mongod", "emulator", "receiver"))}


# Ends of a stack.


@pytest.mark.parametrize("step", ["AWS endpoint", "package", "deployment"])
def test_ctrl_c_ends_a_start_after_any_step(data: Path, step: str) -> None:
    with Up(data) as up:
        up.wait_for(f"✓ {step}").send(signal.SIGINT)
        assert up.wait() in (0, 128 + signal.SIGINT)
        assert "Traceback" not in up.output
    assert processes_on(data) == []
    assert run(data, "--status").returncode == 1


def test_a_killed_supervisor_leaves_no_process_and_keeps_data(data: Path) -> None:
    # Given a stack with its own administrator's password
    with Up(data) as up:
        up.ready()
        children = [child.pid for child in psutil.Process(up.pid).children(recursive=True)]
        (password,) = (line.split()[1] for line in up.output.splitlines() if line.strip().startswith("password"))

        # When the supervisor alone is killed
        up.send(signal.SIGKILL)
        up.wait()

    # Then every child ends, and the next stack starts with the same data
    eventually(lambda: all(gone(child) for child in children))
    assert run(data, "--status").returncode == 1
    with Up(data) as again:
        again.ready()
        credentials = {"username": "admin", "password": password}
        assert requests.post(f"{again.url}/api/sessions", json=credentials, timeout=30).status_code == 201
        again.send(signal.SIGHUP)
        assert again.wait() == 0


@pytest.mark.parametrize(
    ("part", "named"),
    [("mongod", "mongod"), ("emulator", "the AWS emulator"), ("receiver", "the receiver of callbacks")],
)
def test_a_crashed_child_is_named_and_ends_the_stack(data: Path, part: str, named: str) -> None:
    with Up(data) as up:
        up.ready()
        os.kill(up.child(part), signal.SIGKILL)
        assert up.wait() == 1
        assert f"{named} ended unexpectedly. The end of {data / part / part}.log:" in up.output


def test_a_detached_stack_runs_until_stop(data: Path) -> None:
    # Given broken data, which --fresh deletes
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


def test_a_failed_detached_start_shows_its_reason(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        started = run(data, "--detach", "--port", str(port))
    assert started.returncode == 1
    assert f"Port {port} is taken" in started.stdout


def test_an_unreachable_endpoint_is_named_with_its_variable(data: Path) -> None:
    url = f"http://127.0.0.1:{ports.free()}"
    with Up(data, AWS_ENDPOINT_URL=url) as up:
        assert up.wait() == 1
        assert f"AWS_ENDPOINT_URL names {url}, where nobody answers." in up.output


def test_a_given_mongodb_is_used_and_left_running(data: Path, tmp_path: Path) -> None:
    mongod = Mongod(tmp_path / "another")
    mongod.start()
    try:
        with Up(data, MONGODB_URI=mongod.uri) as up:
            up.ready()
            assert "✓ database" not in up.output
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


# Under development.


def test_reload_serves_a_saved_change_unless_it_is_broken(tmp_path: Path, data: Path) -> None:
    copy = copied(tmp_path / "copy")
    door, code = copy / "app.py", (copy / "app.py").read_text()

    with Up(data, "--reload", root=copy) as up:
        instance = up.ready().health()["instanceId"]

        # A change serves.
        door.write_text(f"{code}\n# changed\n")
        up.wait_for("app.py serves after")
        assert up.health()["instanceId"] != instance

        # A file that does not parse or import is shown, and the last good code keeps serving.
        instance = up.health()["instanceId"]
        door.write_text(f"{code}\ndef (:\n")
        up.wait_for("app.py does not parse: invalid syntax (app.py, line")
        door.write_text(f"{code}\nimport nothing_like_it\n")
        up.wait_for("No module named 'nothing_like_it'")
        assert up.health()["instanceId"] == instance

        # Ctrl-C still ends the stack.
        up.send(signal.SIGINT)
        assert up.wait() == 0
