"""The console: pages made here, of what the daemons answer to the person who looks.

How a page is added (nothing else knows of it):

  1. a module `console/<subject>.py` with functions that take a `Visit` and answer `visit.show(…)` or `visit.go(…)`,
     each under `@page(path)` or `@action(path)`, and a tuple `PAGES` of them;
  2. its template `console/templates/<name>.html`, which extends `frame` and fills `content`; `macros.html` has the badge,
     table, field, empty, condition and same macros;
  3. a line in `console/index.py`, and a place in its navigation where the page is one to begin at.
"""
