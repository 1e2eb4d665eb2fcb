"""The connector of Mailchimp; `connector.py` is where to begin."""
