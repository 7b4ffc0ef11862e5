"""Intervals, tests and power as plain functions on numbers, each with its source."""
