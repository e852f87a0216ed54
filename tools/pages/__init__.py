"""Generators of the generated pages of docs/."""
