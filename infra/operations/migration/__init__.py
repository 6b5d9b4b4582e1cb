"""Imports an existing MongoDB collection into versioned records.

__main__.py the command line
importer.py decides on each document and makes records
source.py   reads the collection in pages, and keeps the import's progress
"""
