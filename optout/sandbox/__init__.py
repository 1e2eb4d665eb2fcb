"""Twins of the vendors' APIs over real HTTP, and a seeded world whose truth is known."""
