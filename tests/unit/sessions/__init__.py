"""Tests of `chalicelib/sessions`."""
