"""The tail: what the lake does not hold yet, in memory, and the sources of changes that keep it current."""
