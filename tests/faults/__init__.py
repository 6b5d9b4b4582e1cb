"""scripts/faults: kills, copies of messages and failing endpoints under load, and how often a run provokes each fault.

__main__.py      runs tests/conformance and this folder with the full counts
conftest.py      the stack and its fixtures
scale.py         the share of the full counts that a run provokes
test_activation.py  activations whose functions are killed, with a mail service that fails
test_replays.py  replays of many deliveries, whose functions are killed
test_webhooks.py webhooks under a workload of tests/support/workloads
"""
