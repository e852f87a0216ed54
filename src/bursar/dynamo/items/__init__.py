"""The values that items consist of: attribute values, numbers and key bytes. Knows nothing about tables."""
