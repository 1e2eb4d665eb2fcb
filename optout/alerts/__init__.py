"""Alerts: one problem, one alert, delivered through an outbox."""
