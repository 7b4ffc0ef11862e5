"""What training will take: memory and time."""
