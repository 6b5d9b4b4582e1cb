from collections.abc import Callable
from functools import cache
from typing import Any

import botocore.session
import pytest

#: One for all tests: reading a service's description is what takes time.
_SESSION = botocore.session.get_session()


@pytest.fixture
def client(aws: None) -> Callable[[str], Any]:
    """Makes clients of any service, with moto behind them."""
    return cache(_SESSION.create_client)
