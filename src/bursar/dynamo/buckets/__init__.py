"""Exports and imports: buckets, the files of an export, the readers of imported files."""
