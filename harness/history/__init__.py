"""Stored runs: ours in SQLite or PostgreSQL, and those in other tools' logs."""
