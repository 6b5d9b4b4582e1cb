"""The lab of a running stack, for ``scripts/clock`` and for tests."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from infra.local.lab.clock import Clock
from infra.local.lab.due import Slices
from infra.local.lab.emulator import Endpoint
from infra.local.lab.journey import Journey, Visit
from infra.local.lab.schedules import Schedules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: The default bound on the visits of a jump.
MOST_VISITS = 1_000


class Lab:
    """Moves the clock of the stack that runs on *folder*. A ``with`` block ends the process that asks the slices.

    *environment* is that of the stack, *client* makes AWS clients of the stack's endpoint.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        client: Callable[[str], Any],
        on_visit: Callable[[Visit], None] = lambda _visit: None,
    ) -> None:
        prefix = f"holdfast-{environment['HOLDFAST_STAGE']}-"
        self.clock = Clock(folder)
        self.endpoint = Endpoint(environment["AWS_ENDPOINT_URL"], prefix)
        self._slices = Slices(environment)
        self._journey = Journey(self.clock, self.endpoint, self._slices, Schedules(client, prefix), on_visit)
        self._entered = ExitStack()

    def __enter__(self) -> Self:
        self._entered.enter_context(self._slices)
        return self

    def __exit__(self, *_: object) -> None:
        self._entered.close()

    def now(self) -> datetime:
        """Return the stack's time."""
        return self.clock.now()

    def due(self) -> dict[str, datetime]:
        """Return the next moment of each slice, and of each queue with hidden messages."""
        return self._journey.moments(self._slices.state())

    def advance(self, *, most_visits: int = MOST_VISITS, **duration: float) -> list[Visit]:
        """Jump by *duration*, given as to `timedelta`; see `advance_to`."""
        return self.advance_to(self.now() + timedelta(**duration), most_visits=most_visits)

    def advance_to(self, target: datetime, *, most_visits: int = MOST_VISITS) -> list[Visit]:
        """Jump to *target* by way of every due moment, and return the visits. See `Journey.run` for the errors."""
        return self._journey.run(target, most_visits)

    def jump_to(self, target: datetime) -> None:
        """Jump to *target* at once. See `Journey.blind` for the errors."""
        self._journey.blind(target)
