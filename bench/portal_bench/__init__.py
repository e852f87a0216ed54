"""What bench_portal.py is made of: the load, the servers under it, the payments that are there before, the page."""
