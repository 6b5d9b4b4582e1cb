"""Takes an existing MongoDB collection over into versioned records.

__main__.py the command line
importer.py documents, decided on and made into records
source.py   pages of the collection, and the bookmark in them
"""
