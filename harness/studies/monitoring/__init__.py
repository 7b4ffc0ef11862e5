"""Answers in production: read from logs, checked without references, compared with the gated run."""
