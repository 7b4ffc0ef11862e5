"""Which way of changing a model fits a goal, the data at hand and the memory: rules as data."""
