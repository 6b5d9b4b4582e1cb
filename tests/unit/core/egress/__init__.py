"""Tests of `chalicelib.core.egress`."""
