"""The portal's metrics: counters, shared snapshots of worker processes, and the Prometheus page."""
