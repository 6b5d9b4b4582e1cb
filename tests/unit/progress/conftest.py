from typing import Any

import pytest
from pymongo.database import Database

from chalicelib.progress import wiring
from chalicelib.progress.store import ProgressStore


@pytest.fixture
def store(mongodb: Database[dict[str, Any]]) -> ProgressStore:
    return wiring.store()
