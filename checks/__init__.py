"""Data-quality checks: Great Expectations suites on the row tables, as Dagster asset checks."""
