"""The connector of HubSpot; `connector.py` is where to begin."""
