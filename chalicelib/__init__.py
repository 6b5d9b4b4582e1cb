"""Holdfast: what stateless functions cannot keep, kept for them.

core/     the platform, which imports no slice
slices.py the one list of slices, each a folder beside it
"""
