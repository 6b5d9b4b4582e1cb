"""Cluster: health of the process, readiness of the stores, metrics of the queues, and their dead letters.

models.py   shapes of health, readiness, queue metrics and dead letters
errors.py   errors of the routes
readiness.py one cheap query per store
queue_stats.py SQS's approximate depths and the exact counts of each queue
gauges.py   the metric of dead letters, every minute
slice.py    the declaration of the slice
api.py      HTTP routes
"""
