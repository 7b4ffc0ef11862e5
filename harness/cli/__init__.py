"""The tunegate command."""
