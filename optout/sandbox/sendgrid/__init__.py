"""The twin of SendGrid; `twin.py` is where to begin."""
