"""Cluster: health of the process, readiness of the stores, and metrics of the queues.

models.py   shapes of health, readiness and queue metrics
readiness.py one cheap query per store
queue_stats.py SQS's approximate depths and the exact counts of each queue
slice.py    the declaration of the slice
api.py      HTTP routes
"""
