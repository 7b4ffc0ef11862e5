"""Accepted baselines: what a team has agreed to compare with, as reviewable files."""
