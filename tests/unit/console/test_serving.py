"""The console's one path with a slash at its end, at `scripts/serve`."""

import pytest

from infra.server.route_table import Paths

PATHS = Paths(["/console", "/console/config.json", "/console/{file}", "/health"])


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/console", "/console"),
        ("/console/", "/console"),
        ("/console/config.json", "/console/config.json"),
        ("/console/app-0123456789ab.js", "/console/{file}"),
        ("/console//", "/console//"),
        ("/", "/"),
    ],
)
def test_slash_at_the_end_is_dropped_as_the_gateway_does(path: str, resource: str) -> None:
    assert PATHS.find(path).resource == resource
