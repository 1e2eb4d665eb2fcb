"""Assembles the Dagster location: definitions, jobs, schedules, sensors, and the command line."""
