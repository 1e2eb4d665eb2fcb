"""Dagster's handle on an installation: a thin resource that gives a plain `Project`."""

import os
from pathlib import Path

import dagster as dg

from optout.clock import parse_now
from optout.project import Project


class ProjectResource(dg.ConfigurableResource[Project]):
    """Opens optout.toml when a step needs it, never when the location is loaded.

    Nothing of it is secret: the settings name environment variables, which are read in the step.
    """

    config_file: str = "optout.toml"
    now: str = ""
    """Replays a night at this moment (ISO 8601); empty: the present."""

    def project(self) -> Project:
        """The installation; raises ConfigurationError."""
        return Project.open(Path(self.config_file), now=parse_now(self.now), environ=os.environ)
