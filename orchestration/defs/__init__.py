"""Kept so that `dg` finds a definitions folder; the location is `orchestration.definitions`."""
