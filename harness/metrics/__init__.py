"""Metrics: each file scores one family."""
