"""Tests of `chalicelib.egress`."""
