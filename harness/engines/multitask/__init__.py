"""Multi-task models: several heads on one encoder, and their numbers as answers."""
