"""Several processes with one copy of the weights, and the batches dealt out to them."""
