"""Plotly figures and pages over the published copy."""
