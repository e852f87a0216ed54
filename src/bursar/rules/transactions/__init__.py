"""Writing under rules: compiled transactions, swaps, the reading of cancellations, cost and IAM policies."""
