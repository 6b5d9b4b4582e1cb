"""The ports of a local stack that callbacks may not reach, read from the URLs of its parts."""

import pytest

from infra.local.variables import ports_of


@pytest.mark.parametrize(
    ("url", "ports"),
    [
        ("http://127.0.0.1:4566", {4566}),
        ("http://localhost", {80}),
        ("https://localstack.test", {443}),
        ("mongodb://127.0.0.1:27018/?replicaSet=rs0", {27018}),
        ("mongodb://user:p%40ss@one:1,two:2,three/db", {1, 2, 27017}),
    ],
)
def test_every_port_of_a_url_is_found(url: str, ports: set[int]) -> None:
    assert ports_of(url) == ports
    assert ports_of(url, "http://other:7") == ports | {7}
