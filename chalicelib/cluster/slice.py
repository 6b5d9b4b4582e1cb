"""Declares the cluster slice."""

from chalicelib.cluster import gauges
from chalicelib.cluster.api import routes
from chalicelib.core.slice import Slice

SLICE = Slice(
    name="cluster",
    routes=routes,
    sweep=gauges.measure,
)
