"""Cluster: whether this deployment is alive, and whether it can reach its stores.

models.py  what health and readiness look like
probe.py   one cheap question per store
api.py     HTTP routes
"""
