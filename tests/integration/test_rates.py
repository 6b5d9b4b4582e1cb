"""Many threads at one rate of the deployed table."""

from functools import partial

import pytest

from chalicelib.core.coordination.rates import Limit, Rates
from chalicelib.core.stores.dynamodb import Table
from tests.support.client import at_once
from tests.support.coordination import call_from_all_threads

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("tokens", [1, 20, 63])
def test_of_sixty_four_at_one_rate_exactly_the_tokens_are_had(table: Table, name: str, tokens: int) -> None:
    rates, limit = Rates(table), Limit(tokens, 3_600_000)
    assert sum(taken.ok for taken in call_from_all_threads(partial(rates.take, name, limit))) == tokens
    at_once([partial(rates.give_back, name, limit)] * tokens)
    assert sum(taken.ok for taken in call_from_all_threads(partial(rates.take, name, limit))) == tokens
