"""Trino, the engine behind Athena, on the loopback interface with a small heap.

``tools/install-trino`` puts it into ``.tools/trino``; it needs a JDK 24 or newer (``tools/find-java-24``).
"""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[3]
HOME: Final = ROOT / ".tools" / "trino"
START_S_MAX: Final = 600.0
POLL_S: Final = 0.5
HEAP: Final = "1500M"
NAMESPACE: Final = "bursar"

_OPTIONS: Final = f"""
-server
-Xmx{HEAP}
-XX:+UseSerialGC
-XX:TieredStopAtLevel=1
-XX:+ExitOnOutOfMemoryError
-Djdk.attach.allowAttachSelf=true
-Dfile.encoding=UTF-8
--add-modules=jdk.incubator.vector
""".lstrip()


def java_home() -> str | None:
    """Return the folder of a JDK that runs Trino; None without one."""
    found = subprocess.run([ROOT / "tools" / "find-java-24"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def why_absent() -> str | None:
    """Return the reason why Trino cannot run here; None if it can."""
    if not HOME.exists():
        return "make test-cloud installs Trino; it needs Maven and a JDK 24 or newer"
    return None if java_home() else "Trino needs a JDK 24 or newer"


@dataclass(frozen=True, slots=True)
class TrinoAnswer:
    """Rows with the names and types of their columns, and what Trino read for them."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    stats: Mapping[str, Any]

    @property
    def bytes_read(self) -> int:
        """The bytes that were read from the lake's files."""
        return int(self.stats["physicalInputBytes"])

    @property
    def splits(self) -> int:
        """The parts of the work: the files that were read, and the stages."""
        return int(self.stats["totalSplits"])


class Trino:
    """A running Trino. Each catalog is a lake."""

    def __init__(self, port: int) -> None:
        self.port = port

    def connection(self, catalog: str, database: str = NAMESPACE) -> Any:
        """Return an open connection of Trino's client (PEP 249) to a catalog."""
        from trino import dbapi

        connect: Any = dbapi.connect
        return connect(host="127.0.0.1", port=self.port, user="test", catalog=catalog, schema=database)

    def ask(self, catalog: str, statement: str, parameters: tuple[str, ...] = ()) -> TrinoAnswer:
        """Return the answer to a statement; each ``?`` takes a parameter, a SQL literal, as in Athena."""
        if parameters:
            quoted = statement.replace("'", "''")
            statement = f"EXECUTE IMMEDIATE '{quoted}' USING {', '.join(parameters)}"
        with closing(self.connection(catalog)) as connection:
            cursor = connection.cursor()
            _execute(cursor, statement)
            rows = [tuple(row) for row in cursor.fetchall()]
            described = cursor.description or []
            names, types = tuple(each[0] for each in described), tuple(each[1] for each in described)
            return TrinoAnswer(names, types, rows, cursor.stats)


def _execute(cursor: Any, statement: str) -> None:
    """Execute a statement. For a while after its start, the only node does not offer each catalog yet: ask again.

    The error's name is NO_NODES_AVAILABLE or GENERIC_INTERNAL_ERROR; both messages begin alike.
    """
    from trino.exceptions import TrinoQueryError

    ends = time.monotonic() + START_S_MAX
    while True:
        try:
            cursor.execute(statement)
        except TrinoQueryError as error:
            no_node = error.message.startswith("No nodes available")
            if not no_node or time.monotonic() >= ends:
                raise
            time.sleep(POLL_S)
        else:
            return


def catalog_of_folder(folder: Path) -> str:
    """Return the properties of a catalog over a lake in a folder, as pyiceberg's SQL catalog wrote it."""
    return f"""
connector.name=iceberg
iceberg.catalog.type=jdbc
iceberg.jdbc-catalog.driver-class=org.sqlite.JDBC
iceberg.jdbc-catalog.connection-url=jdbc:sqlite:{folder}/catalog.db
iceberg.jdbc-catalog.catalog-name={NAMESPACE}
iceberg.jdbc-catalog.default-warehouse-dir=file://{folder}
iceberg.register-table-procedure.enabled=true
fs.native-local.enabled=true
local.location=/
"""


def catalog_of_glue(url: str, bucket_url: str) -> str:
    """Return the properties of a catalog over a lake on S3 whose tables are in Glue, both at ``url``."""
    return f"""
connector.name=iceberg
iceberg.catalog.type=glue
hive.metastore.glue.endpoint-url={url}
hive.metastore.glue.region=us-east-1
hive.metastore.glue.aws-access-key=x
hive.metastore.glue.aws-secret-key=y
hive.metastore.glue.default-warehouse-dir={bucket_url}
iceberg.register-table-procedure.enabled=true
fs.native-s3.enabled=true
s3.endpoint={url}
s3.region=us-east-1
s3.path-style-access=true
s3.aws-access-key=x
s3.aws-secret-key=y
"""


@contextmanager
def running_trino(folder: Path, catalogs: Mapping[str, str]) -> Iterator[Trino]:
    """Run Trino with these catalogs, name → properties, for the length of a ``with``. Its files are in ``folder``."""
    port = free_port()
    etc = folder / "etc"
    _write_settings(etc, folder / "data", port, catalogs)
    home = java_home()
    assert home is not None
    environment = {"JAVA_HOME": home, "PATH": f"{home}/bin:{os.environ['PATH']}", "HOME": str(folder)}
    command: list[str | Path] = [HOME / "bin" / "launcher", "run", "--etc-dir", etc, "--data-dir", folder / "data"]
    log = folder / "trino.log"
    with log.open("wb") as output:
        # A separate session: the launcher starts Java, and both must end.
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _await_start(process, port, log)
            yield Trino(port)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _write_settings(etc: Path, data: Path, port: int, catalogs: Mapping[str, str]) -> None:
    files = {
        "jvm.config": _OPTIONS,
        "node.properties": (
            "node.environment=test\nnode.id=test\n"
            f"node.data-dir={data}\nnode.bind-ip=127.0.0.1\nnode.internal-address=127.0.0.1\n"
        ),
        "config.properties": (
            "coordinator=true\nnode-scheduler.include-coordinator=true\n"
            f"http-server.http.port={port}\ndiscovery.uri=http://127.0.0.1:{port}\n"
            "query.max-memory=400MB\nquery.max-memory-per-node=400MB\nmemory.heap-headroom-per-node=300MB\n"
            "catalog.management=static\n"
        ),
        **{f"catalog/{name}.properties": properties for name, properties in catalogs.items()},
    }
    for name, text in files.items():
        path = etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _await_start(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    ends = time.monotonic() + START_S_MAX
    while time.monotonic() < ends and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/info", timeout=5) as reply:
                if b'"starting":false' in reply.read().replace(b" ", b"") and _has_node(port):
                    return
        except OSError:
            pass
        time.sleep(POLL_S)
    raise AssertionError(f"Trino did not start:\n{log.read_text()[-4000:]}")


def _has_node(port: int) -> bool:
    """Return whether a node takes queries: after a start it is announced a little late."""
    from trino.exceptions import TrinoQueryError

    try:
        return bool(Trino(port).ask("system", "SELECT node_id FROM system.runtime.nodes WHERE state = 'active'").rows)
    except TrinoQueryError:
        return False


def free_port() -> int:
    """Return a TCP port of the loopback interface that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
