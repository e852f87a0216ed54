"""Attribute values, numbers and key bytes: what an item is made of. Knows nothing of tables."""
