"""The engine: operations in transactions, concurrent writes that share one commit, and whole-item swaps."""
