"""Histories of (write acknowledged, question asked, answer) over real processes that are killed, and their judge.

    writers (threads) ── HTTP ──► `bursar up` ──► reports process ──► lake
        └── ask: POST /sql · GET /transaction-log · `bursar sql` ◄───┘
    killer ── SIGKILL ──► `bursar up`, or its reports process, also while it writes the lake; each is started again

A pair is one acknowledged write, and one answer to a question that its writer asked after the acknowledgement. A
question without an answer (its process was killed) is counted as refused, and is no pair. An answer is judged on the
pair's write and on a sample of the writes that were acknowledged before its question:

    stale        it lacks one of them, or has an older status
    doubled      it counts an attempt twice, or two attempts where one was started
    disagreeing  its parts are not of one state

A write whose reply was lost is not known to have happened. It is left out of the sample, and may be in an answer.
"""

import asyncio
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from bursar.reports.errors import ReportError
from bursar.reports.server.client import RemoteReports
from tests.support.bootstrap.whole_system import Up, bursar, running_up
from tests.support.reports.visibility import RANKS, Figures

WRITERS: Final = 6
CLI_EVERY: Final = 50
"""The command line answers one question of so many: each is a process."""
RETRY_S: Final = 0.25
SAMPLE: Final = 40
"""Writes on which an answer is judged: half of them are the latest."""
LOG_ROWS: Final = 200
REPLY_WAIT_S: Final = 120.0
PAYERS: Final = ("PLASTIC_CARD/Success", "PLASTIC_CARD/Failed", "ACH/Success", "PAYPAL/Success")
VERIFY_INTERVAL_S: Final = 5.0
LOST: Final = (OSError, http.client.HTTPException, ValueError)
"""Errors of a connection whose server was killed; ValueError: half an answer."""


class Refused(Exception):
    """The request has no usable reply, so nothing is known."""


class Server:
    """Requests to one server, whose address stays when it is started again. Each thread has one connection."""

    def __init__(self, url: str) -> None:
        self._host = url.partition("//")[2]
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the JSON of the reply. Raise :class:`Refused` for an error, and if the connection is lost."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection(self._host, timeout=REPLY_WAIT_S)
            sent = None if body is None else json.dumps(body)
            self._connection.request(method, path, sent, {"Content-Type": "application/json"})
            reply = self._connection.getresponse()
            content = reply.read()
            if reply.status != 200:
                raise Refused(f"{path}: {reply.status} {content[:200]!r}")
            return json.loads(content)
        except LOST as error:
            self.close()
            raise Refused(repr(error)) from error

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class RealHistory:
    """One history in ``folder``, until ``pairs`` pairs have been judged."""

    def __init__(self, folder: Path, seed: int, pairs: int, figures: Figures) -> None:
        self.folder = folder
        self.pairs = pairs
        self.figures = figures
        self.draw = random.Random(seed)
        self.lock = threading.Lock()
        self.known: dict[str, str] = {}  # reference → status, as acknowledged last, oldest first
        self.tokens: list[tuple[str, str]] = []  # (reference, token) of attempts that can be paid
        self.refusals: Counter[str] = Counter()
        self.ended = threading.Event()
        self.failures: list[BaseException] = []
        self.ports = [_free_port(), _free_port()]
        (folder / "bursar.toml").write_text(f"lake_verify_interval_s = {VERIFY_INTERVAL_S}\nach_settle_s = 5\n")

    # Processes ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start `bursar up`, at the same addresses as before."""
        self.processes = ExitStack()
        flags = ("--port", str(self.ports[0]), "--simulator-port", str(self.ports[1]))
        self.up: Up = self.processes.enter_context(running_up(self.folder / "data", *flags))

    def reports_process(self) -> int | None:
        """Return the process id of the reports process, None if it is not there just now."""
        pid = self.up.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        for child in children:
            with suppress(OSError):
                if b"reports" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        return None

    def kill_reports(self) -> None:
        """Kill the reports process, with the lake's writer in it; the portal starts another one."""
        pid = self.reports_process()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.figures.kills += 1

    def kill_portal(self) -> None:
        """Kill `bursar up`, and with it the reports process, and start it again."""
        self.kill_reports()
        self.up.kill()
        self.figures.kills += 1
        self.processes.close()
        self.start()

    def write_lake(self) -> None:
        """Let the reports process commit, and merge what is due."""
        asyncio.run(self._write_lake())

    async def _write_lake(self) -> None:
        with suppress(ReportError, OSError):
            for path in (self.folder / "data").glob("reports-*.sock"):  # none while the process starts
                await RemoteReports(path, start_wait_s=0.0).write_lake()

    def kill_writer(self) -> None:
        """Kill the reports process while it writes the lake."""
        writing = threading.Thread(target=self.write_lake)
        writing.start()
        time.sleep(self.draw.uniform(0.0, 0.5))
        self.kill_reports()
        writing.join()

    # Writes ---------------------------------------------------------------------------------------------------

    def write(self, portal: Server, simulator: Server) -> str:
        """Start a payment, or let a payer pay one and process it. Return its reference; raise :class:`Refused`."""
        with self.lock:
            pays = self.tokens and self.draw.random() < 0.5
            fresh = str(uuid.UUID(int=self.draw.getrandbits(128), version=4))
            reference, token = self.tokens.pop(0) if pays else (fresh, "")
            payer = self.draw.choice(PAYERS)
        if not pays:
            order = {
                "transactionReferenceId": reference,
                "fee": "PETITION_FILING_FEE",
                "urlSuccess": "https://client.example/ok",
                "urlCancel": "https://client.example/no",
                "metadata": {"docketNumber": "123-26"},
            }
            token = portal.call("POST", "/init", order)["token"]
            with self.lock:
                self.tokens.append((reference, token))
                self.known[reference] = "initiated"
            return reference
        with self.lock:
            del self.known[reference]  # until the reply, its status is not known
        simulator.call("POST", f"/pay/{payer}?token={token}")
        [attempt] = portal.call("POST", "/process", {"token": token})["transactions"]
        with self.lock:
            self.known[reference] = attempt["transactionStatus"]
        return reference

    # Questions and their judge --------------------------------------------------------------------------------

    def pair(self, portal: Server, simulator: Server) -> None:
        """Make a write, ask once it is acknowledged, and judge the answer."""
        reference = self.write(portal, simulator)
        with self.lock:
            before, total = self._sample(reference), len(self.known)
            way = "cli" if total % CLI_EVERY == CLI_EVERY // 2 else self.draw.choice(("sql", "log"))
        if way == "log":
            self._judge_log(portal, before, total)
        else:
            self._judge_sql(portal, way, before, total)
        with self.lock:
            self.figures.pairs += 1

    def _sample(self, reference: str) -> dict[str, str]:
        names = list(self.known)
        latest = names[-SAMPLE // 2 :]
        drawn = {*latest, *self.draw.choices(names, k=SAMPLE // 2), reference}
        return {name: self.known[name] for name in drawn}

    def _judge_sql(self, portal: Server, way: str, before: dict[str, str], total: int) -> None:
        wanted = ", ".join(f"'{name}'" for name in before)
        statement = (
            "WITH one AS (SELECT agency_tracking_id AS id, reference, status FROM payments) "
            f"SELECT reference, status, count(*) AS n FROM one WHERE reference IN ({wanted}) GROUP BY ALL "
            "UNION ALL SELECT 'attempts', '', count(*) FROM one "
            "UNION ALL SELECT 'distinct', '', count(DISTINCT id) FROM one "
            "UNION ALL SELECT 'days', '', CAST(coalesce(sum(attempts), 0) AS BIGINT) FROM payment_days"
        )
        if way == "sql":
            answer = portal.call("POST", "/sql", {"statement": statement})
            rows = [(row["reference"], row["status"], row["n"]) for row in answer["rows"]]
        else:
            done = bursar("sql", statement, "--format", "csv", cwd=self.folder)
            if done.returncode:
                raise Refused(done.stderr[-300:])
            cells = [line.split(",") for line in done.stdout.splitlines()[1:]]
            rows = [(name, status, int(count)) for name, status, count in cells]
        figures = {name: count for name, _, count in rows if name in ("attempts", "distinct", "days")}
        self._judge(way, before, Counter({name: n for name, _, n in rows}), {name: status for name, status, _ in rows})
        if figures["attempts"] != figures["distinct"]:
            self._note("doubled", f"{way}: {figures}")
        if figures["attempts"] != figures["days"]:
            self._note("disagreeing", f"{way}: {figures}")
        if figures["attempts"] < total:
            self._note("stale", f"{way}: {figures}, and {total} payments were acknowledged")

    def _judge_log(self, portal: Server, before: dict[str, str], total: int) -> None:
        """Ask for the newest rows of the log: the latest writes are among them."""
        with self.lock:
            names = list(self.known)[-SAMPLE // 2 :]
        since, until = quote("2020-01-01T00:00:00Z"), quote("2100-01-01T00:00:00Z")
        query = f"from={since}&to={until}&pageSize={LOG_ROWS}&sort=lastUpdatedAt&order=desc&includeTotals=true"
        page = portal.call("GET", f"/transaction-log?{query}")
        counts, found = page["counts"], [each["transactionReferenceId"] for each in page["data"]]
        statuses = {each["transactionReferenceId"]: each["transactionStatus"] for each in page["data"]}
        self._judge("log", {name: before[name] for name in names if name in before}, Counter(found), statuses)
        if counts["all"] != sum(counts[name] for name in ("success", "failed", "pending")):
            self._note("disagreeing", f"log: {counts}")
        if counts["all"] < total or len(found) != min(LOG_ROWS, counts["all"]):
            self._note("stale", f"log: {counts}, {len(found)} rows, and {total} payments were acknowledged")

    def _judge(self, way: str, before: dict[str, str], times: Counter[str], statuses: dict[str, str]) -> None:
        for name, status in before.items():
            got = statuses.get(name)
            if got is None or RANKS.index(got) < RANKS.index(status):
                self._note("stale", f"{way}: {name} is {got}, was acknowledged as {status}")
            if times[name] > 1:
                self._note("doubled", f"{way}: {name}, {times[name]} times")

    def _note(self, kind: str, line: str) -> None:
        with self.lock:
            getattr(self.figures, kind).append(line)

    # The history ----------------------------------------------------------------------------------------------

    def _writer(self) -> None:
        portal, simulator = (Server(f"http://127.0.0.1:{port}") for port in self.ports)
        try:
            while not self.ended.is_set():
                try:
                    self.pair(portal, simulator)
                except (Refused, subprocess.TimeoutExpired) as error:
                    with self.lock:
                        self.figures.refused += 1
                        self.refusals[str(error)[:80]] += 1
                    time.sleep(RETRY_S)
        except BaseException as error:  # raised again by the main thread
            self.failures.append(error)
            self.ended.set()
        finally:
            portal.close()
            simulator.close()

    def run(self, happenings: int) -> None:
        """Run the history with about so many happenings, evenly over its pairs: each is a kill or a commit."""
        self.start()
        writers = [threading.Thread(target=self._writer) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        try:
            for number in range(1, happenings + 1):
                self._until(self.pairs * number // (happenings + 1))
                self.write_lake()
                kinds = (self.kill_portal, self.kill_writer, self.kill_reports)
                kinds[(number - 1) % len(kinds)]()
            self._until(self.pairs)
        finally:
            self.ended.set()
            for writer in writers:
                writer.join()
            self.up.stop()
            self.processes.close()
        if self.failures:
            raise self.failures[0]

    def _until(self, pairs: int) -> None:
        while self.figures.pairs < pairs and not self.ended.is_set():
            time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
