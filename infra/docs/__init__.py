"""Pages of `docs/` that are generated from the code, so that page and code cannot differ.

settings.py docs/settings.md, from the settings classes
fields.py   docs/fields.md, from the models that check requests
"""
