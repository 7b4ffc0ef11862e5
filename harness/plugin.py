"""The pytest plugin: options, collection of golden sets, the gate at the end of the session."""
