"""What tests share: recorders, builders of small worlds, and a slow definition of the rules."""
