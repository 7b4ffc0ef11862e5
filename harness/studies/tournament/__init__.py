"""Compares several models by a judge's preferences between their stored answers."""
