"""SQL sessions: DuckDB over one state of the lake and the tail, and what a statement may do."""
