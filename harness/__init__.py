"""The gate: golden sets in, a verdict with a known error rate out."""
