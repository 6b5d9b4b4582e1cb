"""Console: the browser's user interface, served by the API itself.

slice.py    the declaration of the slice
api.py      HTTP routes: the page, its files, and what the page must know of its deployment
models.py   shapes of the routes
settings.py options
site.py     the files as browsers get them: names with hashes, headers
join.py     one script made from the modules in ui/

The folder ``ui`` has the sources: modules of JavaScript, one stylesheet, one page. The map of the sources stands at the
top of ``ui/main.js``. Sources are joined at the first request of a process, so nothing is built before a deployment.
"""
