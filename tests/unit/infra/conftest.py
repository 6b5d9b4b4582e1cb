import json
from collections.abc import Callable
from functools import cache
from typing import Any

import botocore.session
import pytest

from infra.deployment import package
from tests.unit.infra.build import Built

#: Shared by all tests, as reading a service's description is slow.
_SESSION = botocore.session.get_session()


@pytest.fixture
def client(aws: None) -> Callable[[str], Any]:
    """Make cached clients of any service, with moto behind them."""
    return cache(_SESSION.create_client)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("package")
    made = package.build("dev", vendor=False, folder=folder)
    return Built(made, json.loads((folder / "sam.json").read_text()))
