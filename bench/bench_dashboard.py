"""Measure the dashboard's pages over many payments while people click and payments arrive.

    python -m bench.bench_dashboard [--payments 20000] [--people 8] [--seconds 60] [--think 1] [--peer URL] [--write]
    python -m bench.bench_dashboard --prepare --payments 1000000 --data FOLDER      once; then with --data FOLDER alone
    python -m bench.bench_dashboard --copy-of FOLDER                                over a copy of a data set

`bursar generate` makes the store, and `bursar lake` writes and verifies its lake, unless the folder has them. A data
set of bench_reports has a million payments in its lake within minutes; ``--copy-of`` copies it and leaves it as it is.
`bursar up` serves the data. First each page is loaded alone, a few times, for its CPU time: that of the server and of
its reports process, read from /proc. Then ``--people`` threads click through all pages for ``--seconds``, each with a
pause of ``--think`` seconds on average, while one more begins payments, for the 95th percentile of each page's whole
answer. Then one client pays without a pause, alone and while as many people click, for the payments that the clicks
cost. ``--peer`` is another portal with the same API: its transaction log is asked the same as ours.
``--write`` writes the table to docs/benchmarks/dashboard.md.
"""

import argparse
import http.client
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from bench.portal_bench.load import quantile
from bench.portal_bench.servers import loaded
from bursar.bootstrap.parts.reports_socket import upkeep_path
from bursar.reports.lake.upkeep import UpkeepFile
from bursar.settings import Settings

OUT: Final = Path(__file__).parents[1] / "docs" / "benchmarks" / "dashboard.md"
ROOT: Final = "/dashboard"
START_TIMEOUT_S: Final = 900
ALONE_ROUNDS: Final = 2
ARRIVALS_PER_S: Final = 2.0
GOAL_MS: Final = 300
SEARCH_GOAL_MS: Final = 100
FLOWS_LOST_GOAL: Final = 0.10
WEIGHT_GOAL_KB: Final = 250
PAYING_CLIENTS: Final = 1
API_ROUNDS: Final = 7
_LOG: Final = "/transaction-log?from=2026-01-01T00:00:00Z&to=2026-12-31T00:00:00Z&pageSize=100&includeTotals=true"
API_PATHS: Final = (
    "/transactions",
    "/transaction-payment-status",
    _LOG,
    f"{_LOG}&page=100",
    f"{_LOG}&status=failed&sort=createdAt",
)
PEER_LOG_MS: Final = "184 to 2,669"
"""The closest portal's transaction log with totals over a million rows, measured in its API before this benchmark."""
STATEMENT: Final = "SELECT fee, status, count(*) AS attempts, sum(amount) AS amount FROM payments GROUP BY ALL"
SEARCHES: Final = ("$60.00", ">500", "last week", "failed", "1234-26", "October 2026 >100")
PAGES: Final[Mapping[str, str]] = {
    "Overview": "/",
    "Overview, last fiscal year": "/?period=last_fiscal_year",
    "Transactions": "/transactions",
    "Transactions, failed, by amount": "/transactions?status=failed&sort=amount&order=desc",
    "Transactions, reversed": "/transactions?money=came_back",
    "Transactions, as of a past day": "/transactions?as_of=2026-06-30",
    "Needs attention": "/attention",
    "Reports": "/reports",
    "Report: monthly finance": "/reports/monthly_finance",
    "Report: deposited": "/reports/deposited",
    "SQL, the editor": "/sql",
    "Reconciliation": "/reconciliation",
    "Operations": "/operations",
    "Access log": "/access-log",
    "Sandbox": "/sandbox",
}
COUNT: Final = "SELECT count(DISTINCT (client, reference)) AS payments, count(*) AS attempts FROM payments"
WARMING_S: Final = 1.0
NOT_COPIED: Final = ("postgres",)
"""The files that a data set of bench_reports has and a data folder of Bursar has not."""
_DUE: Final = re.compile(r'id="due">([\d,]+\+?)<')
_CELL: Final = re.compile(r'<td class="number">([\d,]+)</td>')
_NEXT: Final = re.compile(r'rel="next" href="([^"]+)"')
_PAYMENT: Final = re.compile(r'href="(/dashboard/payments/[^"]+)"')
_CSRF: Final = re.compile(r'name="csrf" value="([0-9a-f]+)"')
_DETAILS: Final = re.compile(r'(<input[^>]*name="(metadata\.[^"]+)"[^>]*>)')
_VALUE: Final = re.compile(r'value="([^"]*)"')
_FILES: Final = re.compile(r'(?:href|src)="(/dashboard/static/[^"#]+)|\bsrc="(/dashboard/reports/[^"]+)"')
"""The files that a page loads: those of every page, and the chart of a report."""


class Person:
    """A browser: one connection, and cookies."""

    def __init__(self, url: str) -> None:
        self.address = urlsplit(url).netloc
        self._connection = http.client.HTTPConnection(self.address, timeout=START_TIMEOUT_S)
        self._cookies: dict[str, str] = {}

    @property
    def cookie(self) -> str:
        """The header that sends the cookies."""
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    def load(self, path: str, form: Mapping[str, str] | None = None) -> tuple[str, float]:
        """Return the body of a page and the seconds until it was whole. Raises ``RuntimeError`` for an error."""
        headers = {"cookie": self.cookie}
        body = None
        if form is not None:
            body = urlencode(form)
            headers |= {"content-type": "application/x-www-form-urlencoded", "origin": f"http://{self.address}"}
        begin = time.perf_counter()
        self._connection.request("GET" if form is None else "POST", path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        seconds = time.perf_counter() - begin
        for cookie in answer.headers.get_all("set-cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value.strip('"')
        if answer.status in (302, 303) and form is None:
            return self.load(answer.headers["location"])
        if answer.status >= 400:
            raise RuntimeError(f"{path}: must be answered; got {answer.status}: {text[:200]}")
        return text, seconds

    def weigh(self, page: str) -> int:
        """Return the bytes of a page and of the files that it names, as they travel on a first visit."""
        total = len(page.encode())
        for path in sorted({unescape(each or chart) for each, chart in _FILES.findall(page)}):
            self._connection.request("GET", path, headers={"accept-encoding": "gzip", "cookie": self.cookie})
            total += len(self._connection.getresponse().read())
        return total


@dataclass
class Measured:
    """The results by page: seconds of CPU alone, seconds of each answer under load, bytes of a first visit."""

    alone_cpu_s: dict[str, float] = field(default_factory=dict)
    alone_s: dict[str, float] = field(default_factory=dict)
    answers_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    weights: dict[str, int] = field(default_factory=dict)
    arrived: int = 0
    flows_alone_per_s: float = 0.0
    flows_beside_per_s: float = 0.0
    api_ms: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    loads: list[float] = field(default_factory=list)
    payments: int = 0
    attempts: int = 0
    due: str = ""


def paths_to_click(person: Person) -> dict[str, tuple[str, Mapping[str, str] | None]]:
    """Return every page by name: its path and form; with a payment, a later page of rows, and searches."""
    listed, _ = person.load(f"{ROOT}/transactions?status=processed")
    payment = unescape(_PAYMENT.findall(listed)[0])
    token = _CSRF.findall(listed)[0]
    found: dict[str, tuple[str, Mapping[str, str] | None]] = {
        name: (f"{ROOT}{path}", None) for name, path in PAGES.items()
    }
    following = _NEXT.search(listed)
    if following is not None:
        found["Transactions, the next page"] = (unescape(following[1]), None)
    found["Payment"] = (payment, None)
    found["Receipt"] = (f"{payment}/receipt", None)
    found["SQL, an answer"] = (f"{ROOT}/sql", {"csrf": token, "text": STATEMENT})
    for search in (*SEARCHES, payment.rpartition("/")[2][:13]):
        found[f"Search: {search}"] = (f"{ROOT}/transactions?q={quote(search)}", None)
    return found


def measure(url: str, process: int, people: int, seconds: float, think_s: float, peer: str) -> Measured:
    """Return the results of a running dashboard, whose process has this id."""
    measured = Measured()
    loaded(url, PAYING_CLIENTS, WARMING_S)  # a store that lacks what its lake has gets payments with a page
    measured.payments, measured.attempts = stored(url)
    [measured.due] = _DUE.findall(Person(url).load(f"{ROOT}/operations")[0])
    _load_alone(measured, url, process)
    measured.loads.append(os.getloadavg()[0])
    with clicking(measured.answers_s, url, people, think_s):
        _begin_payments(measured, url, seconds)
    measured.flows_alone_per_s = loaded(url, PAYING_CLIENTS, seconds / 2)["per_s"]
    with clicking(defaultdict(list), url, people, think_s):
        measured.flows_beside_per_s = loaded(url, PAYING_CLIENTS, seconds / 2)["per_s"]
    measured.loads.append(os.getloadavg()[0])
    for portal in filter(None, (url, peer)):
        _ask_api(measured, portal)
    return measured


def stored(url: str) -> tuple[int, int]:
    """Return the number of stored payments and of attempts at them, as the SQL page of a dashboard gives them."""
    person = Person(url)
    person.load(f"{ROOT}/")
    editor, _ = person.load(f"{ROOT}/sql")
    answer, _ = person.load(f"{ROOT}/sql", {"csrf": _CSRF.findall(editor)[0], "text": COUNT})
    payments, attempts = (int(cell.replace(",", "")) for cell in _CELL.findall(answer))
    return payments, attempts


def _load_alone(measured: Measured, url: str, process: int) -> None:
    person = Person(url)
    person.load(f"{ROOT}/")
    for name, (path, form) in paths_to_click(person).items():
        page, _ = person.load(path, form)  # once, so that templates and plans are warm
        measured.weights[name] = person.weigh(page)
        before = cpu_s(process)
        took = [person.load(path, form)[1] for _ in range(ALONE_ROUNDS)]
        measured.alone_cpu_s[name] = (cpu_s(process) - before) / ALONE_ROUNDS
        measured.alone_s[name] = statistics.median(took)


@contextmanager
def clicking(answers_s: dict[str, list[float]], url: str, people: int, think_s: float) -> Iterator[None]:
    """Let people click through the pages for the length of a ``with``. Raises the first error of a page."""
    stop, lock = threading.Event(), threading.Lock()

    def click(seed: int) -> None:
        draw, person = random.Random(seed), Person(url)
        own = paths_to_click(person)
        while not stop.wait(draw.uniform(0, 2 * think_s)):
            name = draw.choice(list(own))
            _, took = person.load(*own[name])
            with lock:
                answers_s[name].append(took)

    with ThreadPoolExecutor(people) as pool:
        clicks = [pool.submit(click, seed) for seed in range(people)]
        try:
            yield
        finally:
            stop.set()
    for each in clicks:
        each.result()


def _begin_payments(measured: Measured, url: str, seconds: float) -> None:
    """Begin payments for some seconds, as people do in the sandbox."""
    person, ends = Person(url), time.monotonic() + seconds
    while time.monotonic() < ends:
        page, _ = person.load(f"{ROOT}/sandbox?fee=PETITION_FILING_FEE")
        details = {each[1]: _VALUE.findall(each[0])[0] for each in _DETAILS.findall(page)}
        form = {"csrf": _CSRF.findall(page)[0], "fee": "PETITION_FILING_FEE", **details}
        person.load(f"{ROOT}/sandbox", form)
        measured.arrived += 1
        time.sleep(1 / ARRIVALS_PER_S)


def _ask_api(measured: Measured, portal: str) -> None:
    """Ask the transaction log of a portal, and note the median answer, or why there is none."""
    for path in API_PATHS:
        person = Person(portal)
        try:
            took = [person.load(path)[1] for _ in range(API_ROUNDS)]
            measured.api_ms[path].append(f"{statistics.median(took) * 1000:,.0f}")
        except (OSError, RuntimeError) as error:
            measured.api_ms[path].append(f"none: {str(error)[:60]}")


def _processes() -> tuple[dict[int, list[int]], dict[int, float]]:
    """Return the children of each process of this machine, and the CPU seconds of each."""
    children: dict[int, list[int]] = defaultdict(list)
    used: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            children[int(fields[1])].append(int(folder.name))
            used[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return children, used


def cpu_s(process: int) -> float:
    """Return the CPU seconds of a process and its living descendants."""
    children, used = _processes()
    return sum(used.get(each, 0.0) for each in _with_descendants(process, children))


def _with_descendants(process: int, children: Mapping[int, Sequence[int]]) -> list[int]:
    found = [process]
    for each in found:  # it grows meanwhile
        found += children.get(each, ())
    return found


def processes_of(process: int) -> list[int]:
    """Return the ids of a process and its living descendants, parents first."""
    return _with_descendants(process, _processes()[0])


@contextmanager
def running_up(data: Path) -> Iterator[tuple[str, int]]:
    """Run `bursar up` on the data for the length of a ``with``: its URL and process id."""
    command = [sys.executable, "-m", "bursar", "up", "--port", "0", "--simulator-port", "0", "--data", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None, "bursar up must print its address"
        yield found[0], process.pid
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def table(measured: Measured) -> list[str]:
    """Return the lines of the table, slowest page first."""
    lines = [
        "| page | CPU alone, ms | answer alone, ms | answers | p50, ms | p95, ms | first visit, KB |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name in sorted(measured.alone_cpu_s, key=lambda each: -measured.alone_cpu_s[each]):
        took = sorted(measured.answers_s.get(name, []))
        p50, p95 = (f"{quantile(took, share) * 1000:,.0f}" if took else "–" for share in (0.5, 0.95))
        alone = f"{measured.alone_cpu_s[name] * 1000:,.0f} | {measured.alone_s[name] * 1000:,.0f}"
        lines.append(f"| {name} | {alone} | {len(took):,} | {p50} | {p95} | {measured.weights[name] / 1000:,.0f} |")
    return lines


def summary(measured: Measured) -> list[str]:
    """Return the lines of the goals and what was measured."""
    searches = [name for name in measured.answers_s if name.startswith("Search")]
    lost = 1 - measured.flows_beside_per_s / max(measured.flows_alone_per_s, 1e-9)
    lines = ["| what | goal | measured |", "|---|--:|--:|"]
    for what, goal, names in (
        ("pages, p95", GOAL_MS, [name for name in measured.answers_s if name not in searches]),
        ("searches, p95", SEARCH_GOAL_MS, searches),
    ):
        took = sorted(each for name in names for each in measured.answers_s[name])
        slow = sum(quantile(sorted(measured.answers_s[name]), 0.95) * 1000 >= goal for name in names)
        lines.append(
            f"| {what} | < {goal} ms each | {quantile(took, 0.95) * 1000:,.0f} ms of all; {slow} of {len(names)} over |"
        )
    flows = f"{measured.flows_alone_per_s:,.0f} → {measured.flows_beside_per_s:,.0f} payments a second: {lost:.1%}"
    lines.append(f"| payments lost while people click | < {FLOWS_LOST_GOAL:.0%} | {flows} |")
    lines.append(
        f"| first visit, heaviest page | < {WEIGHT_GOAL_KB} KB | {max(measured.weights.values()) / 1000:,.0f} KB |"
    )
    return lines


def api_table(measured: Measured) -> list[str]:
    """Return the lines of the API's answers, ours and the peer's."""
    columns = max(map(len, measured.api_ms.values()))
    names = ["Bursar, ms", "the closest portal, ms"][:columns]
    earlier = f"The closest portal needed {PEER_LOG_MS} ms for its transaction log with totals at a million rows, in an"
    lines = [f"| the API, median of {API_ROUNDS} | {' | '.join(names)} |", "|---|" + "--:|" * columns]
    lines += [f"| `GET {_path_in_table(path)}` | {' | '.join(took)} |" for path, took in measured.api_ms.items()]
    return [*lines, "", f"{earlier} earlier measurement of its API.", "It has no pages to compare with ours."]


def _path_in_table(path: str) -> str:
    """Return a path of the API without the days and the size of a page, which are the same in each."""
    same = ("from=", "to=", "pageSize=")
    name, _, query = path.partition("?")
    own = [each for each in query.split("&") if each and not each.startswith(same)]
    return name + ("?" + "&".join(own) if own else "")


def report(measured: Measured, source: str, people: int, seconds: float, think_s: float) -> str:
    """Return the page of the results. ``source``: the options that name the data."""
    command = (
        f"python -m bench.bench_dashboard {source} --people {people} --seconds {seconds:g} --think {think_s:g} --write"
    )
    return "\n".join(
        [
            "# Pages of the dashboard per second of waiting",
            "",
            f"*The command below wrote this page on {time.strftime('%Y-%m-%d')}; do not edit it.*",
            "",
            "```",
            command,
            "```",
            "",
            f"{measured.payments:,} payments with {measured.attempts:,} attempts were stored.",
            f"{measured.due} of them were due for the sweeper at the start; more than a few are work beside the pages.",
            f"{measured.arrived} more began while {people} people clicked for {seconds:g} s.",
            f"Each person paused for {think_s:g} s on average before a click, evenly between 0 and twice that.",
            "CPU alone is the CPU time of the server and its reports process for one page, loaded alone.",
            "It hardly depends on other work of the machine.",
            "Answers are whole pages, as a client on the same machine receives them; p50 and p95 are under clicks.",
            f"Payments a second are those of {PAYING_CLIENTS} client without a pause, alone and beside clicks.",
            "",
            f"- Machine: {os.cpu_count()} cores, shared by the server, its clients and all other work.",
            f"- Load average: {measured.loads[0]:.1f} before the clicks and {measured.loads[-1]:.1f} after them.",
            "  The load before should be near 0; with more, other work had a part of the machine.",
            "",
            *summary(measured),
            "",
            *table(measured),
            "",
            *api_table(measured),
            "",
        ]
    )


def prepare(data: Path, payments: int) -> None:
    """Make a store with payments, and its lake, which is verified so that no run verifies it. Print what each takes."""
    environment = {**os.environ, "BURSAR_DATA": str(data)}
    if not (data / "bursar.db").exists():
        _bursar("generate", "--payments", str(payments), "--data", str(data))
    if not (data / "lake").exists():
        _bursar("lake", "write", environment=environment)
        _bursar("lake", "verify", environment=environment)


def postpone_verification(data: Path) -> None:
    """Record that the lake was verified now, so that the run does not verify it.

    The store of a data set of bench_reports lacks most of what its lake has, so a verification would remove it.
    """
    UpkeepFile(upkeep_path(Settings(data=str(data)))).note_verified(time.time(), 0)


def _bursar(*arguments: str, environment: Mapping[str, str] | None = None) -> None:
    begin = time.monotonic()
    subprocess.run([sys.executable, "-m", "bursar", *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)
    print(f"bursar {' '.join(arguments)}: {time.monotonic() - begin:.0f} s", flush=True)


def measure_copy(original: Path, options: Sequence[str], module: str = "bench.bench_dashboard") -> int:
    """Run a benchmark with ``options`` over a copy of a data folder; return its exit code.

    A lake's files name each other by their whole paths. So the copy is at the original's path, in a mount namespace
    that only this run sees: that needs Linux and root. The original is not changed.
    """
    with tempfile.TemporaryDirectory(dir=original.parent) as scratch:
        copy = Path(scratch) / "data"
        shutil.copytree(original, copy, ignore=shutil.ignore_patterns(*NOT_COPIED, "*.lock"))
        command = [sys.executable, "-m", module, "--data", str(original), *options]
        mounted = 'mount --bind "$0" "$1" && shift && exec "$@"'
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", mounted, str(copy), str(original), *command]
        ).returncode


def main() -> None:
    """Read the command line, measure, and print or write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payments", type=int, default=20_000, help="payments of a new store")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--think", type=float, default=1.0, help="seconds between a page and the next click")
    parser.add_argument("--data", type=Path, help="a folder with the data, or for new data")
    parser.add_argument("--copy-of", type=Path, help="a data folder that is copied and not changed (Linux, root)")
    parser.add_argument("--prepare", action="store_true", help="make the folder ready, and measure nothing")
    parser.add_argument("--peer", default="", help="the URL of another portal with the same API")
    parser.add_argument("--write", action="store_true", help=f"write {OUT.name}")
    parser.add_argument("--source", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.copy_of is not None:
        place = sys.argv.index("--copy-of")
        others = [*sys.argv[1:place], *sys.argv[place + 2 :]]
        sys.exit(measure_copy(options.copy_of.absolute(), [*others, "--source", f"--copy-of {options.copy_of}"]))
    source = options.source or (f"--data {options.data}" if options.data else f"--payments {options.payments}")
    with tempfile.TemporaryDirectory() as scratch:
        data = options.data or Path(scratch) / "data"
        prepare(data, options.payments)
        if options.prepare:
            return
        postpone_verification(data)
        with running_up(data) as (url, process):
            measured = measure(url, process, options.people, options.seconds, options.think, options.peer)
    text = report(measured, source, options.people, options.seconds, options.think)
    if options.write:
        OUT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
