"""Reconciliation: compare Pay.gov's activity files with the payments, keep the runs, and apply what the files prove."""
