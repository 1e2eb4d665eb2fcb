"""Settings tables of `[policy]` that belong to one part of the audit each."""
