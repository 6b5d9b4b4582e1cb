"""Queues: work that a handler leaves to a worker.

queues.py       every queue, declared once, and what sends to it
consumer.py     a queue's messages, each worked on once
dead_letters.py dead letters: read, sent back, thrown away
"""
