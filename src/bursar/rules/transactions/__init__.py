"""Rules as conditional transactions: compilation, conditions, whole-item swaps, cancellations, cost, IAM policy."""
