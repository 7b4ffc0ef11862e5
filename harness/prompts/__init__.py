"""Prompts as tokens: rendered by one function for gate, trainers, judges and server."""
