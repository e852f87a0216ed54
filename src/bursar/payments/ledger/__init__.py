"""The ledger writes every fact about a payment as one transaction, and reads it back."""
