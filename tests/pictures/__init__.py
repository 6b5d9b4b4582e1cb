"""scripts/pictures: the pictures of the console in docs/pictures, made anew.

__main__.py  starts a stack and a browser, and takes the pictures
demo.py      people, questions of the last hours, callbacks and webhooks
conflict.py  two who save the same application
pages.py     the pages of which pictures are made: a line each
"""
