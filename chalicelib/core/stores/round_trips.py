"""Counts what a process asks of MongoDB; botocore's calls are counted by an event that `clients` registers."""

from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from chalicelib.core.runtime.logs import count_round_trip


class RoundTrips(CommandListener):
    """Counts MongoDB commands. They run on the caller's thread, so the context is the invocation's."""

    def started(self, event: CommandStartedEvent) -> None:
        """Count the command."""
        del event
        count_round_trip()

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to add."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to add."""
