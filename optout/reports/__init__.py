"""Reports: data in, the same document as HTML, PDF, CSV and JSON out; no addresses in any.

`data_*` reads the published copy, `document` is what a report consists of, `render_*` write it,
`archive` is where reports lie.
"""
