"""The page about full payments: its comparisons and its verdicts."""

import subprocess
import sys
from importlib.metadata import version
from typing import Any

from bench.portal_bench.page import PEER, PORTAL_PACKAGES, Report, Row

A_PORTAL = """
import sys
import bursar.dynamo.engine.engine, bursar.paygov.http_transport, bursar.portal.doors.asgi
import bursar.portal.api.endpoints, bursar.web.asgi_server
import bursar.portal.metrics.metrics, bursar.rules.native, jsonschema_rs
print(*{name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names)
"""
"""A program that loads every module that answers a payment's requests; the caller chooses the event loop."""


def row(name: str, clients: int, per_s: float, p50_ms: float, stored: int = 0, failures: tuple[str, ...] = ()) -> Row:
    took = {"p50_ms": p50_ms, "p99_ms": 2 * p50_ms}
    seen: dict[str, Any] = {"per_s": per_s, "flows": 10, "cpu_s": 0.003, "failures": list(failures)}
    return Row(name, stored, clients, seen | {"init": took, "process": took, "details": took}, 3.0, 0.3, 100.0)


def page(*rows: Row) -> str:
    report = Report("python bench_portal.py", 10.0, 3, list(rows))
    report.finish()
    return report.text()


def test_a_peer_of_the_same_run_is_compared_with_client_by_client() -> None:
    text = page(row("Bursar", 1, 100, 2), row(PEER, 1, 50, 6), row("Bursar", 8, 390, 20), row(PEER, 8, 100, 70))
    assert "in the same run" in text
    assert (
        "1 client: 2.0 times its 50.0 flows/s\n  - init p50 2.0 ms to its 6.0 ms (0.33 of it; target: 0.5; met)" in text
    )
    assert "8 clients: 3.9 times its 100.0 flows/s (target: 4; missed)" in text
    assert "No flow failed." in text


def test_without_a_peer_the_figures_are_of_another_day_and_the_page_says_so() -> None:
    text = page(row("Bursar", 32, 536, 20))
    assert "which this run did not measure" in text
    assert "32 clients: 4.0 times its 134.0 flows/s (target: 4; met)" in text


def test_stored_payments_are_compared_with_none_and_failures_are_listed() -> None:
    text = page(row("Bursar", 8, 400, 20), row("Bursar", 8, 200, 20, stored=1_000_000, failures=("503",)))
    assert (
        "Bursar, 1,000,000 payments stored, 8 clients: 50% of its rate without stored payments (target: 75%; missed)"
        in text
    )
    assert "Failed:\n\n- Bursar, 1,000,000 payments stored, 8 clients: 503" in text


def test_the_page_names_the_packages_that_the_portal_runs_on() -> None:
    loaded = subprocess.run([sys.executable, "-c", A_PORTAL], capture_output=True, text=True, check=True).stdout.split()
    own = {"bursar", "__main__", "cython_runtime"}
    packages = {name.replace("_", "-") for name in loaded if name not in own and not name.startswith("_")}
    assert packages | {"uvloop"} == set(PORTAL_PACKAGES)
    text = page(row("Bursar", 8, 400, 20))
    assert f"- Simulator: uvicorn {version('uvicorn')}." in text
    assert all(f"{name} {version(name)}" in text for name in PORTAL_PACKAGES)
