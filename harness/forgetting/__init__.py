"""What the candidate lost of what the base could do."""
