"""Many callers change a version at the same moment: one 200, all others 409, and the time of the answers.

Every round runs three ways in turn, with the same number of threads: through the proxy, which admits a few calls at a
time; directly at the gateway, where every caller has a function of its own; and bare conditional writes to DynamoDB.
The proxy runs in this process, beside its callers.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import requests

from infra.local.stack import Stack
from tests.benchmarks.api import an_application, sign_in
from tests.benchmarks.bare import Bare
from tests.benchmarks.report import CONSOLE, percentile, show
from tests.support.client import Client, at_once, json_of

_BARE = "bare conditional writes"
#: A hundred cold starts on two cores take long, for some functions more than a round.
_FIRST_SECONDS, _FIRST_ROUNDS = 180, 10
#: The call was refused, or its answer was lost: the caller may repeat the call.
_UNANSWERED = frozenset({0, 429, 502, 503, 504})


class Answer(NamedTuple):
    """A caller's answer with its times; status 0 stands for no answer."""

    began: float
    ended: float
    status: int
    body: dict[str, Any]


class Rounds(NamedTuple):
    """The results of an entry point in all rounds."""

    answers_ms: list[float]
    rounds_ms: list[float]
    unanswered: list[str]
    wrong: list[str]


class Verdict(NamedTuple):
    """The faults of a round: *wrong* answers, and *unanswered* calls; "" stands for no fault."""

    wrong: str = ""
    unanswered: str = ""

    @property
    def right(self) -> bool:
        return not self.wrong and not self.unanswered


#: A caller's attempt to change the version; the caller's number is the first argument.
Attempt = Callable[[int, int], Answer]


def run(*, smoke: bool) -> None:
    """Count right rounds and measure them; exit with 1 if any was not."""
    callers, rounds = (20, 2) if smoke else (100, 50)
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder)) as stack:
        token = sign_in(stack)
        doors = {"through the front": stack.url, "past the front": stack.api_url}
        contests = {name: _Race(url, token, callers) for name, url in doors.items()}
        bare, done = Bare(stack, callers), {name: Rounds([], [], [], []) for name in (*doors, _BARE)}
        for name, contest in contests.items():
            CONSOLE.log(f"{name}: functions start, connections are opened")
            for _ in range(_FIRST_ROUNDS):
                _, verdict = contest.round(_FIRST_SECONDS)
                # Checked, but not measured.
                done[name].wrong.extend(filter(None, [verdict.wrong]))
                if verdict.right:
                    break
        _bare_round(bare, callers, 0)
        for number in range(1, rounds + 1):
            for name, contest in contests.items():
                _note(done[name], *contest.round())
            _note(done[_BARE], *_bare_round(bare, callers, number))
            if number % 10 == 0:
                CONSOLE.log(f"{number} rounds")
    rows = [_row(name, found, done[_BARE]) for name, found in done.items()]
    title = f"{callers} callers change one version at once: one 200, {callers - 1} 409; times of answers, and of rounds"
    show(title, _COLUMNS, rows)
    faults = [f"{name}: {why}" for name, found in done.items() for why in found.wrong + found.unanswered]
    if faults:
        CONSOLE.print("\n".join(faults))
        sys.exit(1)


_TIMES = ("p50 ms", "p99 ms", "ratio")
_COLUMNS = ("door", "rounds", "right", "unanswered", "wrong", *_TIMES, *(f"round {name}" for name in _TIMES))


def _row(name: str, found: Rounds, bare: Rounds) -> list[str]:
    rounds, unanswered, wrong = (len(some) for some in (found.rounds_ms, found.unanswered, found.wrong))
    row = [name, str(rounds), str(rounds - unanswered - wrong), str(unanswered), str(wrong)]
    for ours, theirs in ((found.answers_ms, bare.answers_ms), (found.rounds_ms, bare.rounds_ms)):
        p50 = percentile(ours, 50)
        row += [f"{p50:.0f}", f"{percentile(ours, 99):.0f}", f"{p50 / percentile(theirs, 50):.2f}"]
    return row


def _note(into: Rounds, answers: Sequence[Answer], verdict: Verdict) -> None:
    into.answers_ms.extend((answer.ended - answer.began) * 1000 for answer in answers)
    into.rounds_ms.append((max(answer.ended for answer in answers) - min(answer.began for answer in answers)) * 1000)
    number = len(into.rounds_ms)
    if verdict.wrong:
        into.wrong.append(f"round {number}: {verdict.wrong}")
    elif verdict.unanswered:
        into.unanswered.append(f"round {number}: {verdict.unanswered}")


class _Race:
    """Callers of an application through an entry point."""

    def __init__(self, url: str, token: str, callers: int) -> None:
        self._callers = [Client(url, token) for _ in range(callers)]
        made = self._callers[0].post("/api/applications", an_application())
        self._path, self._version = f"/api/applications/{made.json()['applicationId']}", 1

    def round(self, deadline_seconds: float = 60) -> tuple[list[Answer], Verdict]:
        """Have all callers change the current version; return the answers and the verdict."""
        attempts = [partial(self._attempt, number, deadline_seconds) for number in range(len(self._callers))]
        answers = at_once(attempts)
        found = json_of(self._callers[0].get(self._path))
        before, self._version = self._version, int(found["version"])
        lost = [answer for answer in answers if answer.status in _UNANSWERED]
        unanswered = f"{len(lost)} of {len(answers)}, such as {lost[0].status} {lost[0].body}" if lost else ""
        return answers, Verdict(self._wrong(answers, found, before, bool(lost)), unanswered)

    def _attempt(self, number: int, deadline_seconds: float) -> Answer:
        body = {"incomeMinor": number, "version": self._version}
        began, status, words = time.perf_counter(), 0, {}
        try:
            answer = self._callers[number].call("PUT", self._path, body, deadline_seconds=deadline_seconds)
            status, words = answer.status_code, answer.json()
        except (requests.RequestException, ValueError) as error:
            words = {"detail": str(error)}
        return Answer(began, time.perf_counter(), status, words)

    def _wrong(self, answers: Sequence[Answer], found: dict[str, Any], before: int, lost: bool) -> str:
        winners = [number for number, answer in enumerate(answers) if answer.status == 200]
        refused = [answer for answer in answers if answer.status == 409]
        # With lost answers, the winner's may be lost too, or no call was admitted.
        if len(winners) != 1 and not (lost and not winners):
            return f"{len(winners)} succeeded"
        if self._version != before + 1 and not (lost and not winners and self._version == before):
            return f"the version was {before} and is {self._version}"
        if winners and (answers[winners[0]].body != found or found["incomeMinor"] != winners[0]):
            return f"what is there is not what {winners[0]} was told"
        if unsaid := [answer for answer in refused if answer.body.get("currentVersion") != self._version]:
            return f"{len(unsaid)} refusals name another version, such as {unsaid[0].body}"
        if strange := [answer for answer in answers if answer.status not in {200, 409, *_UNANSWERED}]:
            return f"{len(strange)} answers are neither, such as {strange[0].status} {strange[0].body}"
        return ""


def _bare_round(bare: Bare, callers: int, version: int) -> tuple[list[Answer], Verdict]:
    def attempt() -> Answer:
        began = time.perf_counter()
        won = bare.write("contest", version)
        return Answer(began, time.perf_counter(), 200 if won else 409, {})

    answers = at_once([attempt] * callers)
    winners = sum(answer.status == 200 for answer in answers)
    return answers, Verdict("" if winners == 1 else f"{winners} succeeded")
