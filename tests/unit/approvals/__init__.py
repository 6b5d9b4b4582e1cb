"""Tests of `chalicelib/approvals`."""
