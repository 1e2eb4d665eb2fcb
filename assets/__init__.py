"""Dagster assets: thin wrappers around `optout.nightly`, made from the configuration."""
