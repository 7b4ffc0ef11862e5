"""Composition root: wires the gate and its reports into a pytest run from a checkout."""

pytest_plugins = ["harness.plugin", "reports.plugin"]
