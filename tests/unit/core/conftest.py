"""The coordination table, seen through a network and clocks that the test rules."""

from typing import Any

import pytest

from chalicelib.core.stores.dynamodb import Table
from tests.support.faulty_network import World
from tests.unit.conftest import STAGE

NAME = f"holdfast-{STAGE}-coordination"


@pytest.fixture
def world(dynamodb: Any) -> World:
    return World(dynamodb)


@pytest.fixture
def table(world: World) -> Table:
    return Table(world, NAME)
