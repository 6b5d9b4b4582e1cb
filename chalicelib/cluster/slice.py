"""Declares the cluster slice."""

from chalicelib.cluster.api import routes
from chalicelib.core.slice import Slice

SLICE = Slice(
    name="cluster",
    routes=routes,
)
