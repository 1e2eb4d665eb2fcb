"""The connector of Klaviyo; `connector.py` is where to begin."""
