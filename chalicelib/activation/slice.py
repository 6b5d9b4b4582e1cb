"""Declares the activation slice."""

from chalicelib.activation import worker
from chalicelib.activation.api import routes
from chalicelib.activation.queues import ACTIVATION, MAIL
from chalicelib.activation.settings import ActivationSettings, MailSettings
from chalicelib.core.slice import Indexes, Slice


def _indexes() -> Indexes:
    from chalicelib.activation import ledger, store

    return {
        "activations": store.ACTIVATION_INDEXES,
        "activation_chunks": store.CHUNK_INDEXES,
        "leads": ledger.INDEXES,
    }


SLICE = Slice(
    name="activation",
    routes=routes,
    queues=(ACTIVATION, MAIL),
    settings=(ActivationSettings, MailSettings),
    indexes=_indexes,
    sweep=worker.sweep,
    next_due=worker.next_due,
)
