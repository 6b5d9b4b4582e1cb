"""Benchmarks. Each prints figures beside a baseline measured in the same run, and fails only after a wrong answer."""
