"""The memory limit of the reports process holds for what functions allocate beside DuckDB's own limit."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import duckdb
from bursar.reports.server.memory_limit import limit_memory
connection = duckdb.connect()
connection.execute("SET memory_limit = '100MB'")
assert limit_memory(300 << 20) is not None
try:
    connection.execute("SELECT list_aggregate(range(100000000), 'sum')").fetchall()
except duckdb.OutOfMemoryException:
    print("refused")
print(connection.execute("SELECT sum(range) FROM range(10)").fetchall())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the limit exists on Linux only")
def test_a_function_that_needs_too_much_is_refused_and_the_process_goes_on() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines() == ["refused", "[(45,)]"]


def test_arrow_takes_no_memory_in_advance() -> None:
    script = (
        "from bursar.reports.server.memory_limit import allocate_as_needed\n"
        "allocate_as_needed()\n"
        "import pyarrow\n"
        "print(pyarrow.default_memory_pool().backend_name)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "system"
