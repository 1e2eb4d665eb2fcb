"""The twin of Mailchimp; `twin.py` is where to begin."""
