"""scripts/serve acts on no body that broke off, however the body was framed and however the connection ended."""

import json
import socket
import struct
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from infra.local.stack import Stack
from tests.integration.test_applications import FIELDS, PATH
from tests.support.client import Client, json_of
from tests.support.server import ServeProcess

pytestmark = pytest.mark.stack
BODY = json.dumps({"applicationId": "broken-off", **FIELDS, "applicantName": "Ada Lovelace"}).encode()


@pytest.fixture(scope="module")
def served(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    with ServeProcess(stack, tmp_path_factory.mktemp("served"), processes=1) as served:
        yield served


def send(served: ServeProcess, token: str, framed: bytes, end: str) -> bytes:
    """Send a request with a framed body, end the connection by FIN, RST or not at all; return the answer, if any."""
    address = urlsplit(served.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n"
        connection.sendall(head.encode() + b"Content-Type: application/json\r\n" + framed)
        if end == "RST":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return b""
        if end == "FIN":
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK
COUNTED = b"Content-Length: %d\r\n\r\n" % (len(BODY) + 1) + BODY


@pytest.mark.parametrize("end", ["FIN", "RST"])
@pytest.mark.parametrize(("framed", "status"), [(CHUNKED, 411), (COUNTED, 400)])
def test_body_that_broke_off_makes_nothing(
    admin: Client, served: ServeProcess, framed: bytes, status: int, end: str
) -> None:
    answer = send(served, str(admin.token), framed, end)
    # The server may close a connection that its caller has closed, without an answer.
    assert not answer or answer.startswith(f"HTTP/1.1 {status} ".encode())
    # A later request of the same process is answered after the broken one.
    json_of(admin.at(served.url).get("/api/sessions/current"))
    assert admin.get(f"{PATH}/broken-off").status_code == 404


def test_whole_body_in_chunks_is_411_as_a_problem(admin: Client, served: ServeProcess) -> None:
    answer = send(served, str(admin.token), CHUNKED + b"0\r\n\r\n", "")
    assert answer.startswith(b"HTTP/1.1 411 ")
    assert b"application/problem+json" in answer
    assert admin.get(f"{PATH}/broken-off").status_code == 404
