"""Holdfast keeps state for stateless functions.

core/     the platform; imports no slice
slices.py the only list of slices; each slice is a folder beside this file
"""
