"""The twin of HubSpot; `twin.py` is where to begin."""
