"""The parts of ``bench/bench_dynamo.py``: what is asked, who answers, the measurements, and their page."""
