"""Findings for people: sentences, the terminal, tables. It reads findings and decides nothing."""
