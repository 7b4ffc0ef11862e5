"""Intervals, tests and power, as plain functions of numbers."""
