"""Advises a way of changing a model for a goal, the available data and the memory: rules as data."""
