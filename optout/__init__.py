"""The Dagster-free core of optout: words, rules, connectors, warehouse, alerts, sandbox.

Nothing below this folder may import dagster, great_expectations, or an upper folder
(dashboards, assets, checks, orchestration); `optout/ruff.toml` keeps it so.
"""

__version__ = "0.1.0"
