"""Judges: models that say what another model's answer is worth, and what it takes to believe them."""
