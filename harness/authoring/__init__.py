"""Writing golden sets: linting them, offering checks, adding cases."""
