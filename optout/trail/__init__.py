"""The tamper-evident trail of changes: the chain, its heads, and their verification."""
