"""Athena as an engine of the named reports: their statements, the client of Athena's API, and the answers."""
