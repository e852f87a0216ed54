"""The proof of a run: the demands of the judge, what must happen, planted faults, and which faults a bad seed needs."""
