"""Reports of a finished gate for people and for other programs."""
