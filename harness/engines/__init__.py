"""Engines: turn cases and weights into completions."""
