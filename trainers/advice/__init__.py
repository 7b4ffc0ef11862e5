"""Which way of changing a model fits a goal, the available data and the memory: rules as data."""
