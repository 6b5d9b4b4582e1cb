"""Many threads racing for a rate in the deployed table."""

from functools import partial

import pytest

from chalicelib.core.coordination.rates import Limit, Rates
from chalicelib.core.stores.dynamodb import Table
from tests.support.client import at_once
from tests.support.coordination import call_from_all_threads

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("tokens", [1, 20, 63])
def test_racing_takers_of_a_rate_get_exactly_its_tokens(table: Table, name: str, tokens: int) -> None:
    rates, limit = Rates(table), Limit(tokens, 3_600_000)
    assert sum(taken.ok for taken in call_from_all_threads(partial(rates.take, name, limit))) == tokens
    at_once([partial(rates.give_back, name, limit)] * tokens)
    assert sum(taken.ok for taken in call_from_all_threads(partial(rates.take, name, limit))) == tokens
