"""The audit: read a table or its change stream, and report every broken rule."""
