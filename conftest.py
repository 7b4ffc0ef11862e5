"""Composition root: wires tunegate into a pytest run from a checkout."""

pytest_plugins = ["tunegate"]
