"""The twin of Klaviyo; `twin.py` is where to begin."""
