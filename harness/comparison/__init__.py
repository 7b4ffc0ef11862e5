"""Compares two runs, paired by case: what changed, and the findings."""
