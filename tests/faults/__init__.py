"""scripts/faults: how often tests/conformance provokes each fault.

__main__.py runs tests/conformance with the full counts
scale.py    the share of the full counts that a run provokes
"""
