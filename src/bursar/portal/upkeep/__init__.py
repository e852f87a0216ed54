"""What the sweeper and operators do: sweep, attention, reversals and refunds, erasure, restores."""
