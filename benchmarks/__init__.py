"""Measurements of the running product: every number in the docs comes from here."""
