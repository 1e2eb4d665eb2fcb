"""What is true of the world: an oracle in plain Python that asks no twin anything."""
