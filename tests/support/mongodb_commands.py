"""A store's commands to MongoDB, and the server's plans for the commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

#: Fields that the driver adds to a command and `explain` refuses.
_DRIVERS = ("lsid", "txnNumber", "$clusterTime", "$db", "$readPreference", "writeConcern", "maxTimeMS")


class SentCommands(CommandListener):
    """Records every command in order."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.commands.append(dict(event.command))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Record nothing."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Record nothing."""

    def names(self) -> list[str]:
        return [next(iter(command)) for command in self.commands]


@contextmanager
def recording_commands(uri: str) -> Iterator[tuple[MongoClient[dict[str, Any]], SentCommands]]:
    """Yield a client and the record of its commands."""
    sent = SentCommands()
    with MongoClient[dict[str, Any]](uri, event_listeners=[sent], tz_aware=True) as client:
        yield client, sent


def explained(client: MongoClient[dict[str, Any]], command: dict[str, Any]) -> "Plan":
    """Return the server's plan for *command*, without changing data."""
    bare = {name: value for name, value in command.items() if name not in _DRIVERS}
    return Plan(client.get_default_database().command("explain", bare, verbosity="executionStats"))


class Plan:
    """An explained command."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.stages = [stage for root in _roots(answer) for stage in _stages(root)]

    @property
    def indexes(self) -> set[str]:
        return {stage["indexName"] for stage in self.stages if "indexName" in stage}

    @property
    def names(self) -> set[str]:
        return {stage["stage"] for stage in self.stages}

    @property
    def keys_examined(self) -> int:
        return sum(stage.get("keysExamined", 0) for stage in self.stages)

    @property
    def examined(self) -> int:
        return sum(stage.get("docsExamined", 0) for stage in self.stages)


def _roots(answer: Any) -> Iterator[dict[str, Any]]:
    """Yield the root stage of each executed query."""
    if isinstance(answer, list):
        for inner in answer:
            yield from _roots(inner)
    elif isinstance(answer, dict):
        if "executionStages" in answer:
            yield answer["executionStages"]
        else:
            for inner in answer.values():
                yield from _roots(inner)


def _stages(stage: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield stage
    for inner in [stage.get("inputStage"), *stage.get("inputStages", [])]:
        if inner:
            yield from _stages(inner)
