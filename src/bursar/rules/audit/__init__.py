"""The audit: read a table, or its stream, and report every broken rule."""
