"""The ledger: every fact about a payment is written here as one transaction, and read back from here."""
