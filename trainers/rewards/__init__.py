"""Rewards: what an answer is worth, as ``(completions, **columns) -> list[float]``."""
