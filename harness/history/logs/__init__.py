"""Runs that other tools made, read from their logs."""
