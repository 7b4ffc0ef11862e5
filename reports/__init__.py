"""Reports of a finished gate for people and for other programs.

PYTEST_DONT_REWRITE: see ``harness``.
"""
