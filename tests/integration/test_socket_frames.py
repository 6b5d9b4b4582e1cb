"""Raw frames at the front (RFC 6455): fragments, control frames, broken frames, and the codes that end a connection."""

import base64
import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from pymongo.database import Database

from infra.local.stack import Stack
from tests.support.client import Client, Person
from tests.support.stack import NewPerson
from tests.support.waiting import eventually

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
PING_ACTION = b'{"action": "ping"}'


class Raw:
    """A connection whose frames the test writes itself."""

    def __init__(self, stack: Stack, client: Client) -> None:
        self._socket = socket.create_connection(("127.0.0.1", stack.front.port), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        head = [
            "GET /ws HTTP/1.1",
            f"Host: 127.0.0.1:{stack.front.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Protocol: holdfast, token.{client.token}",
        ]
        self._socket.sendall("\r\n".join([*head, "", ""]).encode())
        self._stream = self._socket.makefile("rb")
        assert b"101" in self._stream.readline()
        while self._stream.readline() != b"\r\n":
            pass

    def send(self, opcode: int, payload: bytes, *, final: bool = True) -> None:
        """Send one frame, masked as the frames of clients are."""
        length = len(payload)
        if length < 126:
            size = bytes([0x80 | length])
        elif length <= 0xFFFF:
            size = struct.pack("!BH", 0x80 | 126, length)
        else:
            size = struct.pack("!BQ", 0x80 | 127, length)
        mask = os.urandom(4)
        body = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        self._socket.sendall(bytes([opcode | (0x80 if final else 0)]) + size + mask + body)

    def receive(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame."""
        first, second = self._stream.read(2)
        length = second & 0x7F
        if length >= 126:
            form, size = ("!H", 2) if length == 126 else ("!Q", 8)
            (length,) = struct.unpack(form, self._stream.read(size))
        return first & 0x0F, self._stream.read(length)

    def event(self) -> Any:
        """Return the next event."""
        opcode, payload = self.receive()
        assert opcode == TEXT, (opcode, payload)
        return json.loads(payload)

    def code(self) -> int:
        """Return the code of the server's close frame."""
        while (received := self.receive())[0] != CLOSE:
            pass
        (code,) = struct.unpack("!H", received[1][:2])
        return int(code)

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


@pytest.fixture(scope="module")
def ann(person: NewPerson) -> Person:
    return person()


@pytest.fixture
def raw(stack: Stack, ann: Person) -> Iterator[Raw]:
    with closing(Raw(stack, ann.client)) as connection:
        yield connection


def test_fragments_of_a_text_are_one_frame(raw: Raw) -> None:
    raw.send(TEXT, PING_ACTION[:5], final=False)
    raw.send(PING, b"between")
    raw.send(CONTINUATION, PING_ACTION[5:9], final=False)
    raw.send(CONTINUATION, PING_ACTION[9:])
    assert raw.receive() == (PONG, b"between")
    assert raw.event() == {"event": "pong"}


def test_flood_of_pings_is_answered_and_the_connection_stays(raw: Raw) -> None:
    for number in range(500):
        raw.send(PING, str(number).encode())
    assert [raw.receive() for _ in range(500)] == [(PONG, str(number).encode()) for number in range(500)]
    raw.send(TEXT, PING_ACTION)
    assert raw.event() == {"event": "pong"}


@pytest.mark.parametrize(
    ("opcode", "payload", "code"),
    [
        (BINARY, PING_ACTION, 1003),
        (TEXT, b'{"action": "\xff\xfe"}', 1007),
        (TEXT, b"x" * 200_000, 1009),
        (11, b"", 1002),
        (CONTINUATION, b"alone", 1002),
        (PING, b"x" * 126, 1002),
    ],
    ids=["binary", "not-utf-8", "too-large", "unknown-opcode", "no-beginning", "long-ping"],
)
def test_frame_that_the_platform_refuses_ends_the_connection(raw: Raw, opcode: int, payload: bytes, code: int) -> None:
    raw.send(opcode, payload)
    assert raw.code() == code


def test_code_of_the_client_is_answered(raw: Raw) -> None:
    raw.send(CLOSE, struct.pack("!H", 1000) + b"bye")
    assert raw.code() == 1000


def test_connection_that_breaks_off_is_forgotten(
    raw: Raw, stack: Stack, person: NewPerson, database: Database[dict[str, Any]]
) -> None:
    bob = person()
    with closing(Raw(stack, bob.client)) as connection:
        connection.send(TEXT, PING_ACTION)
        assert connection.event() == {"event": "pong"}
        assert database.connections.count_documents({"username": bob.username}) == 1
    eventually(lambda: database.connections.count_documents({"username": bob.username}) == 0)
    raw.send(TEXT, PING_ACTION)
    assert raw.event() == {"event": "pong"}
