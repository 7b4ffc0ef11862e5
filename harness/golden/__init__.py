"""Golden sets: reading, checking and writing the YAML."""
