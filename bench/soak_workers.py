"""The portal while its workers are killed: 200 clients pay, Pay.gov drops 5 % of its replies, a worker dies every 5 s.

    python -m bench.soak_workers [--seconds 60] [--clients 200] [--workers 4] [--kill-every 5] [--drop 0.05] [--seed N]

`bursar simulator` with durable books and `bursar portal` run in separate processes. A client repeats a request that got
no answer or an error, as an application does, until the payment is final. After the load the sweeper resolves what is
left; then the portal stops, and its record is compared with Pay.gov's books: each charge has exactly one processed
attempt with its id and amount, and the totals are equal to the cent. The audits of rules and chains follow. Exit code 1
if anything differs, or if the portal ended by itself.
"""

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from bench.portal_bench.servers import BIN, ROOT, free_port
from bursar.bootstrap.composition import Composition
from bursar.paygov.commands import JOURNAL
from bursar.paygov.simulator import Books
from bursar.payments.audit.chain_audit import audit_chains
from bursar.payments.records import Attempt
from bursar.rules.audit.table_audit import audit_table
from bursar.settings import Settings
from bursar.web.http_client import HttpClient
from bursar.web.http_reply import HttpClientError

PAYGOV_TIMEOUT_S: Final = 2.0
CALL_TIMEOUT_S: Final = 30.0
RETRY_PAUSE_S: Final = 0.5
TRIES_MAX: Final = 60
"""Tries of one request before its client leaves the payment to the sweeper."""
RESOLVED_S_MAX: Final = 600.0
"""Time for the sweeper to resolve what the load has left."""
START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 120.0
FINAL: Final = ("success", "failed")


@dataclass
class Seen:
    """The answers that the clients received, by status (0: none), and the results of their payments."""

    answers: Counter[int] = field(default_factory=Counter)
    payments: Counter[str] = field(default_factory=Counter)
    kills: int = 0


class Payer:
    """One client with one connection to the portal and one to Pay.gov."""

    def __init__(self, portal: str, paygov: str, seen: Seen, randomness: random.Random) -> None:
        self._portal, self._paygov, self._seen, self._randomness = portal, paygov, seen, randomness
        self._client = HttpClient()

    async def run(self, until: float) -> None:
        """Make payments, one after the other, until a time of ``time.monotonic``."""
        try:
            while time.monotonic() < until:
                self._seen.payments[await self._pay()] += 1
        finally:
            await self._client.close()

    async def _pay(self) -> str:
        reference = str(uuid.UUID(int=self._randomness.getrandbits(128), version=4))
        order = {
            "transactionReferenceId": reference,
            "fee": "PETITION_FILING_FEE",
            "urlSuccess": "https://court.example/paid",
            "urlCancel": "https://court.example/cancelled",
            "metadata": {"docketNumber": "1234-26"},
        }
        begun = await self._until(f"{self._portal}/init", order, lambda status, _: status == 200)
        if begun is None:
            return "left at init"
        token = begun["token"]
        if await self._until(f"{self._paygov}/pay/PLASTIC_CARD/Success?token={token}", None, _answered) is None:
            return "left at Pay.gov"
        # 410 is the answer to a token that was processed before: the first answer got lost.
        done = await self._until(f"{self._portal}/process", {"token": token}, lambda status, _: status in (200, 410))
        if done is None:
            return "left at process"
        return str(done.get("paymentStatus", "processed before"))

    async def _until(self, url: str, body: Any, enough: Any) -> dict[str, Any] | None:
        """Send a request until ``enough`` accepts its status and body; None after :data:`TRIES_MAX` tries."""
        for _ in range(TRIES_MAX):
            try:
                sent = b"" if body is None else json.dumps(body).encode()
                reply = await self._client.post(url, sent, {"Content-Type": "application/json"}, CALL_TIMEOUT_S)
                self._seen.answers[reply.status] += 1
                if enough(reply.status, reply.body):
                    answer: dict[str, Any] = json.loads(reply.body)
                    return answer
            except (HttpClientError, OSError, ValueError):
                self._seen.answers[0] += 1
            await asyncio.sleep(RETRY_PAUSE_S * (0.5 + self._randomness.random()))
        return None


def _answered(status: int, _body: bytes) -> bool:
    return status in (200, 400, 409)  # an error of the second try: the payer has paid in the first


def children(pid: int) -> list[int]:
    """Return the process ids of the workers."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def kill_workers(parent: int, every_s: float, until: float, seen: Seen, randomness: random.Random) -> None:
    """Kill one worker, chosen at random, every ``every_s``."""
    while time.monotonic() + every_s < until:
        await asyncio.sleep(every_s)
        workers = children(parent)
        if workers:
            os.kill(randomness.choice(workers), signal.SIGKILL)
            seen.kills += 1


@contextmanager
def running(command: list[str], settings: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server of Bursar; its errors go to ``log``."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BURSAR_")}
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [str(BIN / "bursar"), *command], env=environ | settings, stdout=errors, stderr=errors, cwd=ROOT
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(STOP_S_MAX)
                except subprocess.TimeoutExpired:
                    process.kill()


async def answers(url: str) -> int:
    """Return the status of an empty init, 0 for no answer."""
    client = HttpClient()
    try:
        return (await client.post(f"{url}/init", b"{}", {}, CALL_TIMEOUT_S)).status
    except (HttpClientError, OSError):
        return 0
    finally:
        await client.close()


async def wait_until_resolved(folder: Path, serving: "subprocess.Popen[bytes]") -> int:
    """Wait for the sweeper, at most :data:`RESOLVED_S_MAX`, and return how many attempts are left."""
    until = time.monotonic() + RESOLVED_S_MAX
    while True:
        left = await live(folder)
        if not left or time.monotonic() > until or serving.poll() is not None:
            return left
        await asyncio.sleep(2.0)


async def live(folder: Path) -> int:
    """Return how many attempts have begun to be completed and are not final, from the store itself."""
    return sum(attempt.status in ("processing", "pending") for attempt in await attempts(folder))


async def attempts(folder: Path) -> list[Attempt]:
    """Return all attempts in the store, oldest change first."""
    async with Composition(Settings(data=str(folder)), creates_store=False) as parts:
        ledger = await parts.ledger()
        now = time.time()
        return [each async for each in ledger.changes(now - 86_400, now + 60) if isinstance(each, Attempt)]


async def compare(folder: Path) -> list[str]:
    """Print the totals of the books and of the record; return what differs."""
    books = Books(folder / JOURNAL)
    charges = list(books.all_charges())
    books.close()
    recorded = await attempts(folder)
    processed = {attempt.agency_tracking_id: attempt for attempt in recorded if attempt.status == "processed"}
    per_attempt = Counter(charge.agency_tracking_id for charge in charges)
    owner = {attempt.agency_tracking_id: attempt.reference for attempt in recorded}
    per_obligation = Counter(owner.get(charge.agency_tracking_id, "?") for charge in charges)
    double = sum(count > 1 for count in per_obligation.values())
    at_paygov = sum((charge.amount for charge in charges), Decimal(0))
    in_record = sum((attempt.amount for attempt in processed.values()), Decimal(0))
    statuses = Counter(attempt.status for attempt in recorded)
    print(f"attempts            {dict(sorted(statuses.items()))}")
    print(f"charged at Pay.gov  {len(charges)} times, ${at_paygov:,.2f}; twice for one obligation: {double}")
    print(f"recorded as paid    {len(processed)} times, ${in_record:,.2f}")
    async with Composition(Settings(data=str(folder)), creates_store=False) as parts:
        ledger, store = await parts.ledger(), await parts.store()
        rules = await audit_table(store, parts.settings.table, ledger.rules, randomness=random.Random(1))
        chains = await audit_chains(store, parts.settings.table)
    print(f"audit of the rules  {rules.items_read} items, {rules.count} findings")
    print(f"audit of the chains {chains.counts.events} events, {chains.count} findings")
    problems = [f"{name} was charged {count} times" for name, count in per_attempt.items() if count > 1]
    problems += [f"{name} was charged and is not processed" for name in per_attempt.keys() - processed.keys()]
    problems += [f"{name} is processed and was not charged" for name in processed.keys() - per_attempt.keys()]
    if double or at_paygov != in_record or rules.count or chains.count:
        problems.append("the totals differ, an obligation was charged twice, or an audit has findings")
    return problems


async def soak(arguments: argparse.Namespace, folder: Path) -> list[str]:
    """Run the load and return what went wrong."""
    randomness, seen = random.Random(arguments.seed), Seen()
    paygov_port, portal_port = free_port(), free_port()
    paygov, portal = f"http://127.0.0.1:{paygov_port}", f"http://127.0.0.1:{portal_port}"
    drop = f"drop probability={arguments.drop}"
    settings = {
        "BURSAR_DATA": str(folder),
        "BURSAR_AUTH": "none",
        "BURSAR_DEVELOPMENT_CLIENT": "true",
        "BURSAR_WORKERS": str(arguments.workers),
        "BURSAR_AT_ONCE_MAX": str(2 * arguments.clients),
        "BURSAR_LOG_LEVEL": "warning",
        "BURSAR_SWEEP_INTERVAL_S": "1",
        "BURSAR_PAYGOV_TIMEOUT_S": str(PAYGOV_TIMEOUT_S),
        "BURSAR_PAYGOV_URL": f"{paygov}/services/TCSOnlineService",
        "BURSAR_PAYGOV_QUERY_URL": f"{paygov}/tcssinglequery/services/TCSSingleQueryService",
        "BURSAR_PAYMENT_URL": f"{paygov}/pay",
    }
    simulator = ["simulator", "--port", str(paygov_port), "--data", str(folder), "--misbehave", drop]
    with (
        running(simulator, {}, folder / "simulator.log"),
        running(["portal", "--port", str(portal_port)], settings, folder / "portal.log") as serving,
    ):
        until = time.monotonic() + START_S_MAX
        while await answers(portal) == 0:
            if time.monotonic() > until or serving.poll() is not None:
                return ["the portal did not start"]
            await asyncio.sleep(0.1)
        until = time.monotonic() + arguments.seconds
        payers = [
            Payer(portal, paygov, seen, random.Random(randomness.getrandbits(64))) for _ in range(arguments.clients)
        ]
        killing = kill_workers(serving.pid, arguments.kill_every, until, seen, randomness)
        await asyncio.gather(killing, *(payer.run(until) for payer in payers))
        loaded_s = arguments.seconds + time.monotonic() - until
        began = time.monotonic()
        left = await wait_until_resolved(folder, serving)
        resolved_s = time.monotonic() - began
        ended = serving.poll()
    replaced = len(re.findall(r"died \(exit", (folder / "portal.log").read_text()))
    fate = "stayed up" if ended is None else f"ended with exit code {ended}"
    print(f"load                {arguments.clients} clients, {loaded_s:.0f} s, {arguments.drop:.0%} of replies dropped")
    print(f"workers             {arguments.workers}; {seen.kills} killed, {replaced} replaced; the portal {fate}")
    print(f"answers             {dict(sorted(seen.answers.items()))} (0: none)")
    print(f"payments            {dict(sorted(seen.payments.items()))}")
    print(f"unresolved          {left} after {resolved_s:.0f} s")
    problems = await compare(folder)
    if ended is not None:
        problems.append(f"the portal ended with exit code {ended}")
    return problems + ([f"{left} attempts are unresolved"] if left else [])


def main() -> int:
    """Run the soak in a temporary folder, print the figures, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the load")
    parser.add_argument("--clients", type=int, default=200, help="clients that pay at once")
    parser.add_argument("--workers", type=int, default=4, help="workers of the portal")
    parser.add_argument("--kill-every", type=float, default=5.0, help="seconds between two killed workers")
    parser.add_argument("--drop", type=float, default=0.05, help="share of Pay.gov's replies that are dropped")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the clients and of the killed workers")
    parser.add_argument("--folder", type=Path, help="the folder for the store; on a disk, not in memory")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        problems = asyncio.run(soak(arguments, Path(scratch)))
    for problem in problems[:20]:
        print(f"PROBLEM             {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
