"""Percentiles and tables."""

import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

CONSOLE = Console(width=150)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the percentile *percent* of *values*, interpolated between neighbours."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(sorted(values), n=1000, method="inclusive")[round(percent * 10) - 1]


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    CONSOLE.print(table)
