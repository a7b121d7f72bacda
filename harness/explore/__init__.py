"""Finding what nobody wrote a scenario for: drawn experiments, shrunk until they can be read, and pinned down.

`menu.py` says what may happen to a scenario, `draw.py` draws from it (`legal.py` keeps that possible), `search.py` runs
and steers by what `coverage.py` has not seen before, `shrink.py` takes a failure apart, `difference.py` compares with
the nearest experiment that passes, `module_text.py` writes it down as a scenario of its own.
"""
