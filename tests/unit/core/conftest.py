"""The coordination table behind a network and clocks that the test controls."""

from typing import Any

import pytest

from chalicelib.core.stores.dynamodb import Table
from tests.support.faulty_network import FaultyNetwork
from tests.unit.conftest import STAGE

NAME = f"holdfast-{STAGE}-coordination"


@pytest.fixture
def network(dynamodb: Any) -> FaultyNetwork:
    return FaultyNetwork(dynamodb)


@pytest.fixture
def table(network: FaultyNetwork) -> Table:
    return Table(network, NAME)
