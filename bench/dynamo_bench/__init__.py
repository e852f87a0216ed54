"""The parts of ``bench/bench_dynamo.py``: the requests, the servers, the measurements, and their page."""
