"""Webhooks without heads, and a receiver."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.receiver import Receiver, receiving


@pytest.fixture
def stores(mongodb: Any, dynamodb: Any, mail: Any) -> Any:
    """MongoDB without webhooks, behind all stores."""
    return mongodb


@pytest.fixture
def receiver(options: Callable[..., None]) -> Iterator[Receiver]:
    options(EGRESS_ALLOW_LOOPBACK="true")
    with receiving() as found:
        yield found
