"""The work of the sweeper and of operators: sweep, attention, reversals and refunds, erasure, restores."""
