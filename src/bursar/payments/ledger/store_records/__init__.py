"""The records of a whole store: shards, daily roots, restores, moves, reconciliations with Pay.gov."""
