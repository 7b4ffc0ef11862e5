"""Training data: reading, checking, leakage."""
