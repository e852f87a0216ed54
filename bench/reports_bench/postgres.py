"""PostgreSQL 15 in a separate folder, with the closest portal's table and indexes.

It keeps its defaults, fsync included. PostgreSQL refuses to run as root, so root runs it as another user.
"""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from bench.portal_bench.servers import free_port

PLACES: Final = ("/usr/lib/postgresql/15/bin", "/usr/local/bin")
PROGRAMS: Final = ("initdb", "pg_ctl", "psql")
NAME: Final = "peer"
SCHEMA: Final = """
CREATE TABLE transactions (
    agency_tracking_id varchar(21) PRIMARY KEY, paygov_tracking_id varchar(21),
    transaction_reference_id varchar(36) NOT NULL, fee varchar(100) NOT NULL, client_name varchar(100) NOT NULL,
    payment_status varchar(50) NOT NULL, transaction_status varchar(50), payment_method varchar(50),
    paygov_token varchar(36), metadata jsonb, created_at timestamptz NOT NULL DEFAULT now(),
    last_updated_at timestamptz NOT NULL DEFAULT now(), transaction_date timestamptz, payment_date date,
    return_code integer, return_detail text, transaction_amount numeric(12,2) NOT NULL CHECK (transaction_amount >= 0)
);
"""
INDEXES: Final = """
CREATE INDEX idx_transactions_client_name ON transactions (client_name);
CREATE INDEX idx_transactions_client_ref ON transactions (client_name, transaction_reference_id);
CREATE INDEX idx_transactions_created_at ON transactions (created_at DESC);
CREATE INDEX idx_transactions_last_updated_at ON transactions (last_updated_at DESC);
CREATE INDEX idx_transactions_paygov_token ON transactions (paygov_token);
CREATE INDEX idx_transactions_paygov_tracking_id ON transactions (paygov_tracking_id);
CREATE INDEX idx_transactions_payment_status ON transactions (payment_status);
CREATE INDEX idx_transactions_transaction_status ON transactions (transaction_status);
CREATE UNIQUE INDEX idx_transactions_unique_active ON transactions (client_name, transaction_reference_id)
    WHERE transaction_status IN ('received', 'initiated', 'processing', 'pending', 'processed');
"""
"""The indexes after the closest portal's migrations up to 20260805000000."""
_TIME: Final = re.compile(r"^Time: ([0-9.]+) ms")
_START_S_MAX: Final = 120


def binaries() -> Path | None:
    """Return the folder of PostgreSQL's programs; None if this machine has none."""
    found = shutil.which("initdb")
    places = [*PLACES, *([str(Path(found).parent)] if found else [])]
    return next((Path(place) for place in places if all((Path(place) / name).exists() for name in PROGRAMS)), None)


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL."""

    programs: Path
    port: int

    def environment(self) -> dict[str, str]:
        """Return the variables by which the closest portal finds its database."""
        place = {"DB_HOST": "127.0.0.1", "DB_PORT": str(self.port)}
        return place | {"DB_USER": NAME, "DB_PASSWORD": NAME, "DB_NAME": NAME}

    def run(self, text: str, *, database: str = NAME) -> str:
        """Run SQL and return what psql prints. Raise ``CalledProcessError``."""
        command = [*self._psql(database), "-c", text]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def timed(self, statements: Sequence[str]) -> list[float]:
        """Run statements in one session, read all their rows, and return the seconds that each took."""
        lines = ["\\timing on", *(f"{text};" for text in statements)]
        done = subprocess.run(self._psql(NAME), input="\n".join(lines), check=True, capture_output=True, text=True)
        return [float(found[1]) / 1000 for line in done.stdout.splitlines() if (found := _TIME.match(line))]

    @contextmanager
    def copying(self, columns: str) -> Iterator[BinaryIO]:
        """Open the table for rows of CSV with a heading."""
        command = [*self._psql(NAME), "-c", f"\\copy transactions ({columns}) FROM STDIN WITH (FORMAT csv, HEADER)"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
            assert process.stdin is not None
            yield cast(BinaryIO, process.stdin)
            process.stdin.close()
            if process.wait() != 0:
                raise RuntimeError("PostgreSQL refused the rows")

    def _psql(self, database: str) -> list[str]:
        place = ["-h", "127.0.0.1", "-p", str(self.port), "-U", NAME, "-d", database]
        return [str(self.programs / "psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", *place]


def _owner() -> pwd.struct_passwd:
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid())
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


@contextmanager
def running(programs: Path, folder: Path) -> Iterator[Postgres]:
    """Run PostgreSQL over ``folder`` for the length of a ``with``; create the folder's database if there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    owner = _owner()
    if os.getuid() == 0:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    folder.chmod(0o700)

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(folder), *arguments]
        if os.getuid() == 0:
            command = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", *command]
        # Not a pipe: the server would keep it open.
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    if not (folder / "PG_VERSION").exists():
        run("initdb", "-U", NAME, "-A", "trust", "--no-locale", "-E", "UTF8")
    port = free_port()
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    run("pg_ctl", "-w", "-t", str(_START_S_MAX), "-o", options, "-l", str(folder / "log"), "start")
    try:
        found = Postgres(programs, port)
        if not found.run(f"SELECT 1 FROM pg_database WHERE datname = '{NAME}'", database="postgres").strip():
            found.run(f"CREATE DATABASE {NAME}", database="postgres")
        yield found
    finally:
        run("pg_ctl", "-m", "fast", "-w", "stop")
