"""Rewards: functions that score sampled answers, ``(completions, **columns) -> list[float]``."""
