"""The landing layer: what each vendor said, typed and keyed, on disk before anyone is told so."""
