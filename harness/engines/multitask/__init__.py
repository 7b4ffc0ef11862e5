"""Multi-task models: one encoder that several heads share, and what their numbers mean as an answer."""
