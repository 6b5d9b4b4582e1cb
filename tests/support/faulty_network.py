"""Faults for coordination: clocks that disagree and stop, and a network that loses, repeats and delays requests.

The table carries out every write; the network decides only answers, copies and moments.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from functools import partial
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from chalicelib.core.stores.attributes import Item, from_attributes, to_attributes

#: The start of the network's clock, in milliseconds since 1970.
EPOCH_MS = 1_700_000_000_000

_WRITES = frozenset({"put_item", "update_item", "transact_write_items"})


class Fate(Enum):
    """The fate of a write."""

    FINE = auto()
    #: Carried out; the caller sees an error.
    LOST = auto()
    #: The first answer was lost and the SDK asked again.
    TWICE = auto()
    #: The caller sees an error; the request arrives later.
    LATE = auto()
    #: Carried out and answered; a copy arrives later.
    ECHO = auto()
    #: Refused, in conflict with another transaction: nothing was decided.
    CONFLICT = auto()


class FaultyNetwork:
    """A clock that the test moves, and a client with a planned fate for each of its next writes."""

    def __init__(self, client: Any) -> None:
        self.client, self.ms = client, 0
        self.doing = ""
        #: Delayed requests, each with the operation of its sender.
        self.underway: list[tuple[str, Callable[[], Any]]] = []
        self._fates: list[Fate] = []

    def now_ms(self) -> int:
        return EPOCH_MS + self.ms

    @contextmanager
    def send(self, doing: str, fates: Iterable[Fate]) -> Iterator[None]:
        """Give the writes of the block *fates* in order; further writes are fine."""
        self.doing, self._fates = doing, list(fates)
        yield
        self._fates = []

    def deliver(self) -> str:
        """Deliver the oldest delayed request; return the operation of its sender."""
        doing, request = self.underway.pop(0)
        self._arrive(request)
        return doing

    def look(self, table: str, pk: str) -> Item | None:
        """Return the stored item, past the network."""
        answer = self.client.get_item(TableName=table, Key=to_attributes({"pk": pk}), ConsistentRead=True)
        return from_attributes(answer["Item"]) if "Item" in answer else None

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.client, name)
        return partial(self._write, name, call) if name in _WRITES else call

    def _write(self, name: str, call: Callable[..., Any], **arguments: Any) -> Any:
        fate = self._fates.pop(0) if self._fates else Fate.FINE
        request = partial(call, **arguments)
        if fate is Fate.CONFLICT:
            raise _conflict(name)
        if fate is Fate.LATE:
            self.underway.append((self.doing, request))
            raise _timeout()
        if fate is Fate.LOST:
            self._arrive(request)
            raise _timeout()
        # DynamoDB recognises a repeated transaction by its token.
        if name != "transact_write_items":
            if fate is Fate.TWICE:
                self._arrive(request)
            if fate is Fate.ECHO:
                self.underway.append((self.doing, request))
        return request()

    @staticmethod
    def _arrive(request: Callable[[], Any]) -> None:
        try:
            request()
        except ClientError:
            # The refusal reaches no caller.
            return


class Process:
    """A process: a wall clock *skew_ms* ahead of the network's, a monotonic clock that began with the process."""

    def __init__(self, network: FaultyNetwork, skew_ms: int = 0, booted_ms: int = 0) -> None:
        self._network, self.skew_ms, self._booted_ms = network, skew_ms, booted_ms

    def now(self) -> float:
        return (self._network.now_ms() + self.skew_ms) / 1000

    def ticks(self) -> float:
        return (self._network.ms + self._booted_ms) / 1000

    def until_ms(self, ticks: float) -> int:
        """Return the network's time at *ticks* of the process's monotonic clock."""
        return EPOCH_MS + round(ticks * 1000) - self._booted_ms

    def pause(self, seconds: float) -> None:
        self._network.ms += -(-round(seconds * 1_000_000) // 1000)


class Invocation:
    """A Lambda context with the remaining time alone."""

    def __init__(self, left_ms: int) -> None:
        self._left_ms = left_ms

    def get_remaining_time_in_millis(self) -> int:
        return self._left_ms


def explore(machine: Callable[[], RuleBasedStateMachine], *, examples: int, steps: int) -> None:
    """Search with Hypothesis for an order of steps that breaks a *machine*."""
    # Hypothesis takes any callable; its annotation is narrower.
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=steps))  # type: ignore[arg-type]


def _conflict(name: str) -> ClientError:
    if name == "transact_write_items":
        reasons: Any = {"CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}]}
        return ClientError({"Error": {"Code": "TransactionCanceledException", "Message": ""}, **reasons}, name)
    return ClientError({"Error": {"Code": "TransactionConflictException", "Message": ""}}, name)


def _timeout() -> Exception:
    error: Exception = ReadTimeoutError(endpoint_url="http://dynamodb")
    return error
