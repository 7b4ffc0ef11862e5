"""Training backends: each writes an adapter directory that the gate can read.

PYTEST_DONT_REWRITE: see ``harness``.
"""
