"""Findings for people: sentences, the terminal, tables. Reads what was found and decides nothing."""
