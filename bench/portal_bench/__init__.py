"""The parts of bench_portal.py: the load, the servers, the payments stored before, and the page."""
