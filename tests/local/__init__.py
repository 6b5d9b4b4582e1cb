"""Tests of the local stack: real processes, real ports, nothing left behind."""
