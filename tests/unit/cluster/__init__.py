"""Tests of `chalicelib/cluster`."""
