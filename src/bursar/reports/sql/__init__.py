"""SQL sessions: DuckDB over one state of the lake and the tail, and the check of statements."""
