"""The twin of Zendesk Sell; `twin.py` is where to begin."""
