"""Receivers in another language verify our signatures: the packages `standardwebhooks` and `svix` in Node."""

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.core.egress.signatures import headers, new_secret
from tests.support.node import EVERY_PACKAGE, NodeReceiver

BODY = '{"type":"a.b","data":{"name":"Zo\N{LATIN SMALL LETTER E WITH DIAERESIS} \N{ROCKET}"}}'.encode()


def test_packages_of_node_accept_a_signed_message(node_receiver: NodeReceiver) -> None:
    secret = new_secret()
    node_receiver.use(secret)
    verdict = node_receiver.send(BODY, headers([secret], "msg_1", datetime.now(UTC), BODY))
    assert (verdict.accepted_by, verdict.status, verdict.body) == (EVERY_PACKAGE, 204, BODY)


def test_packages_of_node_accept_either_secret_of_a_rotation(node_receiver: NodeReceiver) -> None:
    old, new, other = new_secret(), new_secret(), new_secret()
    sent = headers([new, old], "msg_1", datetime.now(UTC), BODY)
    for secret in (old, new):
        node_receiver.use(secret)
        assert node_receiver.send(BODY, sent).accepted_by == EVERY_PACKAGE
    node_receiver.use(other)
    verdict = node_receiver.send(BODY, sent)
    assert (verdict.accepted_by, verdict.status) == (set(), 400)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_packages_of_node_refuse_an_old_or_early_message(node_receiver: NodeReceiver, minutes: int) -> None:
    secret = new_secret()
    node_receiver.use(secret)
    sent = headers([secret], "msg_1", datetime.now(UTC) + timedelta(minutes=minutes), BODY)
    assert node_receiver.send(BODY, sent).accepted_by == set()


def test_receiver_without_a_secret_refuses_every_message(node_receiver: NodeReceiver) -> None:
    sent = headers([new_secret()], "msg_1", datetime.now(UTC), BODY)
    assert node_receiver.send(BODY, sent).accepted_by == set()
