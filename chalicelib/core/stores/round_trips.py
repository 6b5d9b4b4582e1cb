"""Counts MongoDB commands. An event handler that `clients` registers counts the calls of botocore."""

from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from chalicelib.core.runtime.logs import count_round_trip


class RoundTrips(CommandListener):
    """Counts MongoDB commands. pymongo calls listeners on the caller's thread, so the invocation's context is there."""

    def started(self, event: CommandStartedEvent) -> None:
        """Count the command."""
        del event
        count_round_trip()

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to add."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to add."""
