"""Base models: where they come from, where they lie, what they hash to."""
