"""The rules of section "Rules" in docs/metrics.md as pure functions: no clock, no database."""
