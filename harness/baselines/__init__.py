"""Accepted baselines: runs that a team agreed to compare with, as reviewable files."""
