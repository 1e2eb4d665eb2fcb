"""Plotly figures and pages over the published copy.

`data` reads, `figures` draws (pure: frame in, figure out), `pages` says what stands where, `build`
writes the static site. Notebooks use the first two.
"""
