"""Tests of `chalicelib/users`."""
