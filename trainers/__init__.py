"""Training backends: each writes an adapter directory that the gate can read."""
