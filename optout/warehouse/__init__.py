"""The warehouse: one DuckDB file, its schema, what loads it and what is computed in it."""
