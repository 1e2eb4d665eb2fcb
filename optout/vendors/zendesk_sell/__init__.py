"""The connector of Zendesk Sell; `connector.py` is where to begin."""
