"""The faults of a run: of Pay.gov, of the store and of processes, and when each strikes."""
