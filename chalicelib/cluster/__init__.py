"""Cluster: whether this deployment is alive, whether it can reach its stores, and how much work there is.

models.py   what health, readiness and the figures of queues look like
readiness.py one cheap question per store
queue_stats.py what SQS and the exact counts say of each queue
slice.py    what this slice brings
api.py      HTTP routes
"""
