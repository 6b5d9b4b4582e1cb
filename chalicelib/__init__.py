"""Holdfast: what stateless functions cannot keep, kept for them.

core/         the platform, which imports no slice
sweeps.py     what runs every minute
wiring.py     the only place that makes clients and stores

Slices, each with the rooms it needs (models errors store api worker):

applications/ asked for, decided and paid out
ledger/       what was paid, as one chain
cluster/      health and readiness
users/        who may sign in, and with which roles
sessions/     who is signed in
approvals/    a question put to a person, and their answer
devices/      who has which device, and pushing to them
"""
