"""Stored runs: ours in SQLite, and those in other tools' logs."""
