"""What a person or a CI system sees of a finished gate."""
