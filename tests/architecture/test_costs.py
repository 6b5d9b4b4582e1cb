"""Every result in docs/costs.md follows from the prices and the counts on the page."""

import json
import re
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from math import prod

import pytest

from chalicelib.approvals.settings import ApprovalSettings
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
    "six alarms": "CloudWatch",
    "custom metrics": "CloudWatch",
}


#: Sections of the page.
WAITING, CALLBACK = "A million approvals with a wait of five seconds", "A million approvals with a callback"
DELIVERIES = "A million deliveries to webhooks"
MESSAGES = "A million messages"


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
    assert len(found) == 5
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
