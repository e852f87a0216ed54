"""The reports process: it answers questions over a Unix socket, so that payments never wait for a query."""
