"""A refusal carries the stored item; a transient error is retried and never reported as a loss.

Neither moto nor an emulator reports conflicts or throttles, so a stub answers with the service's errors.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from botocore.stub import ANY, Stubber

from chalicelib.core.coordination.errors import LockLost
from chalicelib.core.coordination.locks import Lease, Locks
from chalicelib.core.errors import Unavailable
from chalicelib.core.runtime.settings import CoordinationSettings
from chalicelib.core.stores.dynamodb import ConditionFailed, Reason, Table, TransactionRefused
from tests.unit.conftest import STAGE

NAME = f"holdfast-{STAGE}-coordination"
TRANSIENT = [
    "TransactionConflictException",
    "TransactionInProgressException",
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "RequestLimitExceeded",
]
ATTEMPTS = 10

Call = Callable[[], Any]


@pytest.fixture
def stubber() -> Iterator[Stubber]:
    client = botocore.session.get_session().create_client("dynamodb", region_name="us-east-1")
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.fixture
def pauses() -> list[float]:
    """Seconds waited between attempts."""
    return []


@pytest.fixture
def table(stubber: Stubber, pauses: list[float]) -> Table:
    return Table(stubber.client, "stubbed", pause=pauses.append)


@pytest.fixture
def real(dynamodb: Any) -> Table:
    return Table(dynamodb, NAME)


@pytest.fixture
def tokens(stubber: Stubber) -> list[str]:
    """The request token of every transaction sent."""
    seen: list[str] = []

    def see(params: dict[str, Any], **_: Any) -> None:
        seen.append(params["ClientRequestToken"])

    stubber.client.meta.events.register("provide-client-params.dynamodb.TransactWriteItems", see)
    return seen


def calls(table: Table) -> dict[str, Call]:
    """Map botocore's name of each operation to the table's call."""
    update = partial(table.update, "a", "SET n = :n", when="n = :n", values={":n": 1})
    return {
        "get_item": partial(table.get, "a"),
        "put_item": partial(table.put, {"pk": "a"}, when="attribute_not_exists(pk)"),
        "update_item": update,
        "delete_item": partial(table.delete, "a", when="n = :n", values={":n": 1}),
        "query": partial(table.query, "by-held", "held", "lock"),
        "transact_write_items": partial(table.transact, [table.check("a", when="n = :n", values={":n": 1})]),
    }


def cancel(stubber: Stubber, *codes: str) -> None:
    reasons = [{"Code": code, "Message": code} for code in codes]
    fields = {"CancellationReasons": reasons}
    stubber.add_client_error("transact_write_items", "TransactionCanceledException", modeled_fields=fields)


@pytest.mark.parametrize("code", TRANSIENT)
@pytest.mark.parametrize("operation", ["get_item", "put_item", "update_item", "delete_item", "query"])
def test_transient_error_is_retried_after_a_pause(
    table: Table, stubber: Stubber, pauses: list[float], code: str, operation: str
) -> None:
    for _ in range(3):
        stubber.add_client_error(operation, code)
    stubber.add_response(
        operation, {"Items": []} if operation == "query" else {"Attributes": {}} if operation == "update_item" else {}
    )
    calls(table)[operation]()
    assert len(pauses) == 3


@pytest.mark.parametrize("operation", ["put_item", "update_item", "delete_item", "transact_write_items"])
@pytest.mark.parametrize("code", ["TransactionConflictException", "ThrottlingException"])
def test_conflict_on_every_attempt_is_unavailable_and_not_a_loss(
    table: Table, stubber: Stubber, pauses: list[float], code: str, operation: str
) -> None:
    for _ in range(ATTEMPTS):
        stubber.add_client_error(operation, code)
    with pytest.raises(Unavailable):
        calls(table)[operation]()
    # Nobody waits after the last attempt.
    assert len(pauses) == ATTEMPTS - 1


def test_pauses_are_full_jitter_under_a_growing_ceiling(
    table: Table, stubber: Stubber, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    monkeypatch.setattr("chalicelib.core.runtime.backoff.random.uniform", uniform)
    for _ in range(ATTEMPTS):
        stubber.add_client_error("get_item", "ThrottlingException")
    with pytest.raises(Unavailable):
        table.get("a")
    ceilings = [high for _, high in bounds]
    assert {low for low, _ in bounds} == {0}
    assert ceilings == sorted(ceilings) == pauses
    assert ceilings[:3] == [0.02, 0.04, 0.08]
    assert max(ceilings) == 0.5


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_cancelled_transaction_is_retried_under_the_same_token(
    table: Table, stubber: Stubber, tokens: list[str], pauses: list[float], reason: str
) -> None:
    for _ in range(4):
        cancel(stubber, "None", reason)
    stubber.add_client_error("transact_write_items", "TransactionInProgressException")
    stubber.add_response("transact_write_items", {})
    calls(table)["transact_write_items"]()
    assert len(pauses) == 5
    assert len(tokens) == 6
    assert len(set(tokens)) == 1


def test_each_transaction_has_its_own_request_token(table: Table, stubber: Stubber, tokens: list[str]) -> None:
    for _ in range(2):
        stubber.add_response("transact_write_items", {}, {"TransactItems": ANY, "ClientRequestToken": ANY})
        calls(table)["transact_write_items"]()
    assert len(set(tokens)) == 2


@pytest.mark.parametrize(
    "codes", [("ConditionalCheckFailed", "TransactionConflict"), ("ThrottlingError", "ConditionalCheckFailed")]
)
def test_failed_condition_is_final_despite_other_transient_reasons(
    table: Table, stubber: Stubber, pauses: list[float], codes: tuple[str, ...]
) -> None:
    cancel(stubber, *codes)
    with pytest.raises(TransactionRefused) as refused:
        calls(table)["transact_write_items"]()
    assert [reason.code for reason in refused.value.reasons] == list(codes)
    assert pauses == []


@pytest.mark.parametrize("code", ["ValidationException", "ResourceNotFoundException", "AccessDeniedException"])
def test_invalid_request_is_not_retried(table: Table, stubber: Stubber, code: str) -> None:
    stubber.add_client_error("update_item", code)
    with pytest.raises(ClientError):
        calls(table)["update_item"]()


def test_transaction_cancelled_as_invalid_is_not_retried(table: Table, stubber: Stubber) -> None:
    cancel(stubber, "None", "ValidationError")
    with pytest.raises(ClientError):
        calls(table)["transact_write_items"]()


@pytest.mark.parametrize("code", ["InternalServerError", "ServiceUnavailable"])
def test_a_broken_service_is_unavailable(table: Table, stubber: Stubber, code: str) -> None:
    stubber.add_client_error("update_item", code)
    with pytest.raises(Unavailable):
        calls(table)["update_item"]()


@pytest.mark.parametrize("error", [ConnectTimeoutError, ReadTimeoutError])
def test_timed_out_write_is_unavailable_and_not_a_loss(error: type[Exception]) -> None:
    class Silent:
        def update_item(self, **_: Any) -> None:
            raise error(endpoint_url="http://dynamodb")  # type: ignore[call-arg]

    with pytest.raises(Unavailable):
        calls(Table(Silent(), "silent"))["update_item"]()


def test_guarded_write_in_conflict_is_not_reported_as_lock_lost(
    table: Table, stubber: Stubber, tokens: list[str]
) -> None:
    locks, lease = Locks(table, CoordinationSettings()), Lease("a", "me", 1, 0.0)
    # Given two conflicts and success
    for _ in range(2):
        cancel(stubber, "TransactionConflict", "None")
    stubber.add_response("transact_write_items", {})
    locks.guarded(lease, [])
    assert len(set(tokens)) == 1
    # Given conflicts without end
    for _ in range(ATTEMPTS):
        cancel(stubber, "TransactionConflict", "None")
    with pytest.raises(Unavailable):
        locks.guarded(lease, [])
    # Given the loss itself, beside a conflict
    cancel(stubber, "ConditionalCheckFailed", "TransactionConflict")
    with pytest.raises(LockLost):
        locks.guarded(lease, [])


def test_refused_write_carries_the_stored_item(real: Table) -> None:
    real.put({"pk": "a", "n": 1, "on": True, "names": ["x"]}, when="attribute_not_exists(pk)")
    stands = {"pk": "a", "n": 1, "on": True, "names": ["x"]}
    refusals: list[Call] = [
        partial(real.put, {"pk": "a"}, when="attribute_not_exists(pk)"),
        partial(real.update, "a", "SET n = :n", when="n > :n", values={":n": 1}),
        partial(real.delete, "a", when="n > :n", values={":n": 1}),
    ]
    for refusal in refusals:
        with pytest.raises(ConditionFailed) as refused:
            refusal()
        assert refused.value.item == stands
    with pytest.raises(ConditionFailed) as refused:
        real.update("b", "SET n = :n", when="n = :n", values={":n": 1})
    assert refused.value.item is None


def test_refused_transaction_names_its_reasons_and_writes_nothing(real: Table) -> None:
    for name in ("a", "c"):
        real.put({"pk": name, "n": 1}, when="attribute_not_exists(pk)")
    fine = real.update_entry("b", "SET n = :n", values={":n": 5})
    stale = real.update_entry("a", "SET n = :n", when="n = :n", values={":n": 2})
    with pytest.raises(TransactionRefused) as refused:
        real.transact([fine, stale, real.check("c", when="n = :n", values={":n": 1})])
    assert refused.value.reasons == [
        Reason("None", None),
        Reason("ConditionalCheckFailed", {"pk": "a", "n": 1}),
        Reason("None", None),
    ]
    assert real.get("b") is None


def test_query_page_begins_after_the_given_key(real: Table) -> None:
    for name in "cab":
        real.put({"pk": name, "held": "lock"}, when="attribute_not_exists(pk)")
    found = [item["pk"] for item in real.query("by-held", "held", "lock", limit=2)]
    assert found == ["a", "b"]
    assert [item["pk"] for item in real.query("by-held", "held", "lock", after="b")] == ["c"]
