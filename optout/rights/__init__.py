"""People's rights and the life of what is kept: erasure, rotation of keys, retention.

`erase` and `rotate` rewrite landing, warehouse and files in steps that a journal names, so that a
crash at any point is made good by the next run (`pending.settle`).
"""
