"""Hooks the reports into a pytest run."""
