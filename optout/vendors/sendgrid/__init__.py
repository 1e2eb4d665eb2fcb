"""The connector of SendGrid; `connector.py` is where to begin."""
