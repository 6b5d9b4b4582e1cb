"""Every result in docs/costs.md follows from the prices and the counts on the page."""

import json
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from math import prod
from pathlib import Path

import pytest

from chalicelib import slices
from chalicelib.activation.models import CHUNK
from chalicelib.activation.queues import MAIL
from chalicelib.activation.settings import MailSettings
from chalicelib.approvals.settings import ApprovalSettings
from chalicelib.progress.settings import ProgressSettings
from infra.deployment import package
from tests.architecture.source import ROOT, verdict

PAGE = (ROOT / "docs/costs.md").read_text()
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
#: The service in the table of prices that a charge is for, by the beginning of the charge's name.
SERVICES = {
    "API Gateway": "API Gateway",
    "WebSockets": "WebSockets",
    "Lambda's polling": "SQS",
    "Lambda": "Lambda",
    "DynamoDB": "DynamoDB",
    "SQS": "SQS",
    "logs": "CloudWatch",
    "sweep": "Lambda",
    "reconcile": "Lambda",
    "a secret": "Secrets Manager",
    "alarms": "CloudWatch",
    "mails": "SES",
    "custom metrics": "CloudWatch",
}


#: Sections of the page.
WAITING, CALLBACK = "A million approvals with a wait of five seconds", "A million approvals with a callback"
DELIVERIES = "A million deliveries to webhooks"
MESSAGES = "A million messages"
LEADS, FOLLOWING = "A million activated leads", "A thousand hours of following a job"
IDLE = "A month of an idle stage"


def sections() -> dict[str, str]:
    return {text.partition("\n")[0]: text for text in PAGE.split("\n## ")[1:]}


def rows(text: str, header: str) -> Iterator[list[str]]:
    """Return the cells of each row of the first table in *text* whose header begins with *header*."""
    table = text.partition(f"\n| {header}")[2].partition("\n\n")[0].splitlines()[2:]
    return ([cell.strip(" *") for cell in row.strip().strip("|").split("|")] for row in table)


def numbers(text: str) -> list[Decimal]:
    return [Decimal(number.replace(",", "")) for number in _NUMBER.findall(text)]


def terms(calculation: str) -> list[list[Decimal]]:
    """Return the factors of each product in *calculation*, a sum of products."""
    return [[numbers(factor)[0] for factor in term.split("\N{MULTIPLICATION SIGN}")] for term in calculation.split("+")]


def shown(amount: Decimal) -> str:
    return str(amount.quantize(Decimal("0.01"), ROUND_HALF_UP))


def prices(service: str) -> set[Decimal]:
    """Return the prices of *service*. The price of a GB-second is the price of a million, as calculations use it."""
    (cell,) = (price for name, price in rows(PAGE, "service") if name.startswith(service))
    return {number * 1_000_000 if number < Decimal("0.001") else number for number in numbers(cell)}


def charges() -> list[tuple[str, str, str]]:
    """Return charge, calculation and result of every row of every calculation."""
    return [
        (charge, calculation, result)
        for text in sections().values()
        for charge, calculation, result in rows(text, "charge")
        if charge != "sum"
    ]


@pytest.mark.parametrize(("charge", "calculation", "result"), charges())
def test_a_charge_is_the_result_of_its_calculation(charge: str, calculation: str, result: str) -> None:
    assert result == shown(sum((prod(term, start=Decimal(1)) for term in terms(calculation)), Decimal(0))), charge


def test_each_product_ends_in_a_price_of_its_service() -> None:
    def service(charge: str) -> str:
        return next(service for beginning, service in SERVICES.items() if charge.startswith(beginning))

    verdict(
        f"docs/costs.md: {charge} multiplies by {term[-1]}, which is no price of {service(charge)}"
        for charge, calculation, _ in charges()
        for term in terms(calculation)
        if round(term[-1], 4) not in {round(price, 4) for price in prices(service(charge))}
    )


def test_each_sum_is_the_sum_of_the_charges_above() -> None:
    found = {name: list(rows(text, "charge")) for name, text in sections().items() if "| charge" in text}
    assert len(found) == 6
    for name, table in found.items():
        *parts, (label, _, total) = table
        assert (label, total) == ("sum", shown(sum((Decimal(part[2]) for part in parts), Decimal(0)))), name


@pytest.mark.parametrize("section", [WAITING, CALLBACK])
def test_the_counts_of_an_approval_are_the_sums_of_its_steps(section: str) -> None:
    text = sections()[section]
    steps = list(rows(text, "step"))
    counted = {charge: terms(calculation) for charge, calculation, _ in rows(text, "charge") if charge != "sum"}

    def total(column: int, unit: str) -> Decimal:
        found = [re.match(rf"([\d.]+) {unit}", step[column]) for step in steps]
        return sum((Decimal(match[1]) for match in found if match), Decimal(0))

    assert counted["API Gateway"][0][0] == total(1, "call")
    assert counted["Lambda invocations"][0][0] == counted["logs"][0][0] == len(steps)
    assert counted["Lambda time"][0][0] == total(2, "s")
    assert [term[0] for term in counted["DynamoDB"]] == [total(3, "write unit"), total(3, "read unit")]
    assert counted["SQS"][0][0] == total(4, "request")


def test_the_counts_of_a_delivery_are_the_sums_of_its_steps() -> None:
    text = sections()[DELIVERIES]
    steps = list(rows(text, "step"))
    counted = {charge: terms(calculation) for charge, calculation, _ in rows(text, "charge") if charge != "sum"}

    def total(column: int, unit: str) -> Decimal:
        found = [match for step in steps for match in re.findall(rf"([\d.]+) {unit}", step[column])]
        return sum(map(Decimal, found), Decimal(0))

    assert counted["Lambda invocations"][0][0] == len(steps)
    assert counted["Lambda time"][0][0] == total(1, "s")
    assert [term[0] for term in counted["DynamoDB"]] == [total(2, "write unit"), total(2, "read unit")]
    assert counted["SQS"][0][0] == total(3, "request")


def test_counts_of_a_message_are_the_sums_of_its_steps() -> None:
    text = sections()[MESSAGES]
    steps = list(rows(text, "step"))
    counted = {charge: terms(calculation) for charge, calculation, _ in rows(text, "charge") if charge != "sum"}

    def total(column: int, unit: str) -> Decimal:
        found = [match for step in steps for match in re.findall(rf"([\d.]+) {unit}", step[column])]
        return sum(map(Decimal, found), Decimal(0))

    assert counted["API Gateway"][0][0] == total(1, "call")
    assert counted["WebSockets"][0][0] == total(2, "message")
    assert counted["Lambda invocations"][0][0] == counted["logs"][0][0] == len(steps)
    assert counted["Lambda time"][0][0] == total(3, "s")
    assert [term[0] for term in counted["DynamoDB"]] == [total(4, "write unit"), total(4, "read unit")]


def test_counts_of_a_lead_are_the_sums_of_its_steps() -> None:
    text = sections()[LEADS]
    steps = list(rows(text, "step"))
    counted = {charge: terms(calculation) for charge, calculation, _ in rows(text, "charge") if charge != "sum"}

    def total(column: int, unit: str) -> Decimal:
        found = [match for step in steps for match in re.findall(rf"([\d.]+) {unit}", step[column])]
        return sum(map(Decimal, found), Decimal(0))

    assert counted["Lambda time"][0][0] == total(1, "s")
    assert [term[0] for term in counted["DynamoDB"]] == [total(2, "write unit"), total(2, "read unit")]
    assert counted["mails"][0][0] == total(3, "mail")


def test_times_of_a_lead_follow_from_the_rate_of_mails() -> None:
    text, rate = " ".join(sections()[LEADS].split()), MailSettings.model_construct().per_second
    (_, chunk, *_), (_, mail, *_) = rows(sections()[LEADS], "step")
    assert f"A chunk of {CHUNK} leads takes its worker a second" in text
    assert numbers(chunk)[0] == 1 / Decimal(CHUNK)
    assert (MAIL.concurrency, numbers(mail)[0]) == (2, MAIL.concurrency / Decimal(rate))
    mails = 15 * rate // MAIL.concurrency
    assert f"for 15 s, and a worker of mails sends {mails} meanwhile" in text
    write, per_log = Decimal("0.625"), Decimal("0.50")
    each = 5 * write + 3 * Decimal("0.40") + Decimal("0.20") + per_log
    assert f"log records cost {shown(each / mails)} in all" in text
    assert f"a million takes {round(1_000_000 / rate / 3600)} hours" in text


def test_ways_to_follow_a_job_cost_their_calls() -> None:
    text, options = sections()[FOLLOWING], ProgressSettings.model_construct()
    found = {way: (terms(calculation), result) for way, calculation, result in rows(text, "way")}
    assert len(found) == 5
    for way, (sum_, result) in found.items():
        assert result == shown(sum((prod(term, start=Decimal(1)) for term in sum_), Decimal(0))), way
    changes = Decimal("3.6")
    held, polls = changes * (1_000 - options.stream_retry_ms) / 1_000, changes / 2
    assert [term[0] for term in found["a stream of events"][0]] == [changes, changes, held, changes]
    assert [term[0] for term in found["polls every 2 s"][0]] == [polls, polls, polls / 10, polls]
    # A call, its invocation, its tenth of a second and its log record.
    call = Decimal("3.50") + Decimal("0.20") + Decimal("0.50")
    plain = " ".join(text.split())
    assert f"costs {shown(call + Decimal('0.05') * max(prices('Lambda')))} per million" in plain
    calls = changes * 1_000 / options.stream_hold_ms
    assert f"costs a stream {calls} million calls in place of 3.6" in plain
    rest = calls * call + changes / 2 * max(prices("Lambda"))
    assert f"so {shown(rest)} altogether" in plain


def test_idle_stage_has_the_queues_and_alarms_of_the_templates(tmp_path: Path) -> None:
    built = package.build("dev", vendor=False, folder=tmp_path)
    both = [*built.data["Resources"].values(), *built.app["Resources"].values()]
    alarms = sum(one["Type"] == "AWS::CloudWatch::Alarm" for one in both)
    charges = (row for row in rows(sections()[IDLE], "charge") if row[0] != "sum")
    counted = {charge: terms(calculation) for charge, calculation, _ in charges}
    assert counted["alarms"][0][0] == alarms
    polled = next(terms for charge, terms in counted.items() if charge.startswith("Lambda's polling"))
    assert polled[0][0] == 2 * len(slices.QUEUES)
    assert counted["DynamoDB, the dead letters of twelve queues counted every minute"][0][0] == len(slices.QUEUES) == 12


def test_figures_of_the_readme_are_the_sums_of_the_page() -> None:
    sums = {name: {row[0]: row[2] for row in rows(text, "charge")} for name, text in sections().items()}
    readme = dict(rows((ROOT / "README.md").read_text(), "| USD"))
    waiting, callback, _, idle = readme.values()
    wanted = [Decimal(sums[name]["sum"]).quantize(Decimal(1), ROUND_HALF_UP) for name in (WAITING, CALLBACK, IDLE)]
    assert [Decimal(waiting), Decimal(callback), Decimal(idle)] == wanted


def test_a_lock_costs_its_write_units() -> None:
    write_unit = next(iter(numbers(dict(rows(PAGE, "service"))["DynamoDB, on demand"])))
    text = sections()["A million locks"]
    table = list(rows(text, "step"))
    assert [shown(Decimal(units) * write_unit) for _, units, _ in table] == [result for *_, result in table]
    assert Decimal(table[0][1]) + Decimal(table[1][1]) == Decimal(table[2][1])
    assert f"two write units more ({shown(2 * write_unit)} per million)" in " ".join(text.split())


def test_a_held_call_costs_its_seconds_and_its_polls() -> None:
    text = sections()[WAITING]
    memory_gb = Decimal(json.loads((ROOT / ".chalice/config.json").read_text())["lambda_memory_size"]) / 1024
    assert f"each further second adds {shown(memory_gb * max(prices('Lambda')))}" in text
    options, polls, elapsed_ms = ApprovalSettings.model_construct(), 0, 0.0
    pause_ms = float(options.first_poll_ms)
    while (elapsed_ms := elapsed_ms + pause_ms) <= 5_000:
        polls, pause_ms = polls + 1, min(pause_ms * options.poll_growth, options.slowest_poll_ms)
    assert f"about {polls} small reads" in text
    assert f"one every {options.slowest_poll_ms} ms" in text
