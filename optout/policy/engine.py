"""`[engine]` of optout.toml: how much memory a night may take, and where the reconcile statements
run (docs/deployment.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

_LEAST_MEMORY = 256
"""Megabytes; one step of a small night takes 192."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([MGT])i?B")
_MEGABYTES = {"M": 1, "G": 1_000, "T": 1_000_000}


class EngineTable(BaseModel):
    """`[engine]`: DuckDB in this process, or a Spark cluster."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["duckdb", "spark"] = "duckdb"
    memory: str | None = None
    """What DuckDB may hold at once, as `4GB`; the rest it writes beside its file and reads again.
    None: DuckDB's own bound, four fifths of the machine's memory."""
    master: str = "local[*]"
    """Spark: the cluster's address as Spark writes it."""
    folder: Path | None = None
    """Spark: where tables change hands, for the time of a night's reconciliation. Every worker has
    to reach it under this very path; None: `engine` in the data folder."""
    options: Mapping[str, str] = Field(default_factory=dict)
    """Spark: further settings by their own names. No secret belongs here."""

    @field_validator("memory")
    @classmethod
    def _size(cls, value: str | None) -> str | None:
        size = None if value is None else _SIZE.fullmatch(value)
        if value is not None and size is None:
            raise ValueError(f"'{value}' is no size: write it as 4GB or 800MB")
        if size is not None and float(size[1]) * _MEGABYTES[size[2]] < _LEAST_MEMORY:
            raise ValueError(f"{value} is too little for any night: {_LEAST_MEMORY}MB at least")
        return value

    @field_validator("folder")
    @classmethod
    def _reachable(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_absolute():
            raise ValueError("has to be an absolute path, the same one on every worker")
        return value

    @field_validator("options")
    @classmethod
    def _of_spark(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        wrong = [name for name in value if not name.startswith("spark.")]
        if wrong:
            raise ValueError(f"'{wrong[0]}' is no setting of Spark: its names begin with spark.")
        return value
