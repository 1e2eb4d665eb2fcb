"""Asking vendors over HTTP: connectors import `optout.http.client` and `optout.http.pagination`."""
