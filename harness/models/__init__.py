"""Base models: finding, fetching and hashing them."""
