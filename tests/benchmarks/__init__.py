"""Benchmarks. They print figures beside something measured in the same run, and fail only where an answer was wrong."""
