"""The seeded world: people, days, deeds, and the drift that is planted among them."""
