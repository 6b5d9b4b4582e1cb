"""Weeks of waiting in seconds: the deployed stack under a clock that jumps."""
