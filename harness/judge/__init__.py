"""Judges: models that score another model's answer, and how far they can be trusted."""
