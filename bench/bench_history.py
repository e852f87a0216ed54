"""Measure what point-in-time recovery and a stream cost a write, and how long a restore takes.

    python -m bench.bench_history [--rounds 9] [--requests 12800] [--restore 100000,1000000] [--write]

Cost: two stores on files, one with recovery (or a stream) and one without, get the same writes of 600-byte items over
20,000 keys, in turn and in reverse order in the next round; the median of the rounds counts. Writes share a commit as
behind the HTTP server with 64 connections, or have one each; every commit is fsynced.

Restore: a table of N items of 600 bytes, a tenth of which changed after the instant, is restored to that instant in a
separate process, whose memory is measured; its items are compared with what they were.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench.dynamo_bench.measures import machine
from bursar.dynamo.engine.engine import Engine, operation_named

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "benchmarks" / "dynamo-history.md"
TABLE = "items"
KEYS = 20_000
BODY = "x" * 540
GROUPS = (64, 1)
GROUP_OF_ONE_SHARE = 16
"""Writes with a commit each are so much slower that a round has this part of them."""
FILL_GROUP = 1_000
CHANGED_PART = 10
SAMPLED = 2_000
COST_GOAL_PERCENT = 25
RESTORE_GOAL_S = 60

Request = dict[str, Any]


class Times(NamedTuple):
    """How long some writes took, in seconds: by the clock, and of the processor."""

    elapsed: float
    cpu: float


class Cost(NamedTuple):
    """The medians of one kind of write, without a feature and with it: writes a second, processor time in µs."""

    feature: str
    operation: str
    group: int
    rates: tuple[float, float]
    cpu_us: tuple[float, float]

    @property
    def percent(self) -> float:
        """Return by how many percent a write takes more of the processor with the feature."""
        return (self.cpu_us[1] / self.cpu_us[0] - 1) * 100

    @property
    def percent_elapsed(self) -> float:
        """Return by how many percent a write takes longer by the clock with the feature."""
        return (self.rates[0] / self.rates[1] - 1) * 100


Make = Callable[[random.Random], Request]


def put(numbers: random.Random) -> Request:
    """Return a PutItem that replaces an item, or adds one."""
    return {"TableName": TABLE, "Item": item(numbers.randrange(KEYS), numbers.randrange(10**9))}


def update(numbers: random.Random) -> Request:
    """Return an UpdateItem with a condition that holds."""
    return {
        "TableName": TABLE,
        "Key": key(numbers.randrange(KEYS)),
        "UpdateExpression": "SET n = :n",
        "ConditionExpression": "attribute_not_exists(absent)",
        "ExpressionAttributeValues": {":n": {"N": str(numbers.randrange(10**9))}},
    }


OPERATIONS: dict[str, Make] = {"PutItem": put, "UpdateItem": update}


def key(number: int) -> Request:
    """Return the key attributes of the item of that number."""
    return {"pk": {"S": f"p{number % 997:04}"}, "sk": {"S": f"{number:09}"}}


def item(number: int, value: int) -> Request:
    """Return an item of about 600 bytes."""
    return {**key(number), "n": {"N": str(value)}, "body": {"S": BODY}}


def store(path: Path) -> Engine:
    """Return a store with the table, on a file."""
    engine = Engine.open(str(path), randomness=random.Random(1))
    names = ("pk", "sk")
    engine.execute(
        "CreateTable",
        {
            "TableName": TABLE,
            "KeySchema": [{"AttributeName": n, "KeyType": k} for n, k in zip(names, ("HASH", "RANGE"), strict=True)],
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in names],
            "BillingMode": "PAY_PER_REQUEST",
        },
    )
    return engine


def turn_on(engine: Engine) -> None:
    """Turn point-in-time recovery on."""
    specification = {"PointInTimeRecoveryEnabled": True}
    engine.execute("UpdateContinuousBackups", {"TableName": TABLE, "PointInTimeRecoverySpecification": specification})


def start_stream(engine: Engine) -> None:
    """Give the table a stream with both images."""
    specification = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    engine.execute("UpdateTable", {"TableName": TABLE, "StreamSpecification": specification})


RECOVERY, STREAM = "point-in-time recovery", "a stream of both images"
FEATURES: dict[str, Callable[[Engine], None]] = {RECOVERY: turn_on, STREAM: start_stream}


def write(engine: Engine, operation: str, requests: list[Request], group: int) -> Times:
    """Carry out writes, ``group`` of them in a commit; return the times they took."""
    known = operation_named(operation)
    began, began_cpu = time.perf_counter(), time.process_time()
    for at in range(0, len(requests), group):
        for outcome in engine.run_group([(known, request) for request in requests[at : at + group]]):
            if isinstance(outcome, Exception):
                raise outcome
    return Times(time.perf_counter() - began, time.process_time() - began_cpu)


# Cost of a write ----------------------------------------------------------------------------------------------


def costs(folder: Path, rounds: int, requests: int, feature: str) -> list[Cost]:
    """Measure every operation, in groups and alone, without a feature and with it."""
    stores = {on: store(folder / f"{list(FEATURES).index(feature)}-{on}.db") for on in (False, True)}
    FEATURES[feature](stores[True])
    for engine in stores.values():
        write(engine, "PutItem", [{"TableName": TABLE, "Item": item(number, 0)} for number in range(KEYS)], FILL_GROUP)
    results = []
    for operation, make in OPERATIONS.items():
        for group in GROUPS:
            count = requests if group > 1 else requests // GROUP_OF_ONE_SHARE
            times: dict[bool, list[Times]] = {False: [], True: []}
            for number in range(rounds):
                for on in (False, True) if number % 2 else (True, False):
                    numbers = random.Random(number)
                    times[on].append(write(stores[on], operation, [make(numbers) for _ in range(count)], group))
            off, on_ = ((median(t.elapsed for t in times[on]), median(t.cpu for t in times[on])) for on in stores)
            rates = (count / off[0], count / on_[0])
            results.append(Cost(feature, operation, group, rates, (off[1] / count * 1e6, on_[1] / count * 1e6)))
            print(results[-1], f"{results[-1].percent:.0f} %", flush=True)
    for engine in stores.values():
        engine.close()
    return results


# Restores -----------------------------------------------------------------------------------------------------


def restores(folder: Path, sizes: list[int]) -> Iterator[dict[str, Any]]:
    """Yield the measures of a restore for each number of items."""
    for size in sizes:
        path = folder / f"restore-{size}.db"
        engine = store(path)
        for at in range(0, size, FILL_GROUP):
            filling = [
                {"TableName": TABLE, "Item": item(number, 0)} for number in range(at, min(at + FILL_GROUP, size))
            ]
            write(engine, "PutItem", filling, FILL_GROUP)
        turn_on(engine)
        time.sleep(0.01)
        instant = time.time()
        time.sleep(0.01)
        changed = [{"TableName": TABLE, "Item": item(number, 1)} for number in range(0, size, CHANGED_PART)]
        write(engine, "PutItem", changed, FILL_GROUP)
        engine.close()
        command = (sys.executable, "-m", "bench.bench_history", "--restore-one", str(path), str(instant), str(size))
        run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        measured = json.loads(run.stdout)
        print(measured, flush=True)
        yield measured
        for file in folder.glob(f"{path.name}*"):
            file.unlink()


def restore_one(path: str, instant: float, size: int) -> dict[str, Any]:
    """Restore the table in this process, and check a sample of its items."""
    engine = Engine.open(path)
    before_mib = peak_mib()
    began = time.perf_counter()
    engine.execute(
        "RestoreTableToPointInTime",
        {"SourceTableName": TABLE, "TargetTableName": "restored", "RestoreDateTime": instant},
    )
    seconds = time.perf_counter() - began
    after_mib = peak_mib()
    found = engine.execute("DescribeTable", {"TableName": "restored"})["Table"]["ItemCount"]
    assert found == size, (found, size)
    for number in range(0, size, max(1, size // SAMPLED)):
        got = engine.execute("GetItem", {"TableName": "restored", "Key": key(number)})["Item"]
        assert got == item(number, 0), number
    engine.close()
    return {"items": size, "seconds": seconds, "before_mib": before_mib, "after_mib": after_mib}


def peak_mib() -> float:
    """Return the largest resident size of this process so far, in MiB."""
    # Not getrusage: its maximum includes that of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


# The page -----------------------------------------------------------------------------------------------------


def page(command: str, rounds: int, requests: int, cost: list[Cost], restored: list[dict[str, Any]]) -> str:
    """Return docs/benchmarks/dynamo-history.md."""
    facts = machine()
    lines = [
        "# What the past costs",
        "",
        "`bench/bench_history.py` wrote this page; do not edit it.",
        "",
        f"- Command: `{command}`.",
        f"- Machine: {facts['cores']} cores of {facts['cpu']}, {facts['memory_gib']} GiB; load average {facts['load']} "
        "before the page was written.",
        f"- Rounds: the median of {rounds} rounds of {requests:,} writes counts; the two stores take turns.",
        "- Load: in process, items of 600 bytes over 20,000 keys, files, every commit fsynced.",
        "",
        "CPU is the processor's time of a write; the time by the clock depends on what else the machine does.",
        "",
    ]
    for feature in FEATURES:
        lines += [
            f"## A write with {feature}",
            "",
            "| operation | writes a commit | CPU µs without | with | more % | writes/s without | with | more time % |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        lines += [
            (
                f"| {one.operation} | {one.group} | {one.cpu_us[0]:.1f} | {one.cpu_us[1]:.1f} | {one.percent:.0f} "
                f"| {one.rates[0]:,.0f} | {one.rates[1]:,.0f} | {one.percent_elapsed:.0f} |"
            )
            for one in cost
            if one.feature == feature
        ]
        lines.append("")
        if feature == RECOVERY:
            lines += [f"Goal: at most {COST_GOAL_PERCENT} % more.", ""]
    lines += [
        "## A restore",
        "",
        "A tenth of the items changed after the instant that is restored.",
        "",
        f"| items | seconds | peak memory before, MiB | peak memory after, MiB | goal, 1M under {RESTORE_GOAL_S} s |",
        "|---:|---:|---:|---:|---|",
    ]
    for each in restored:
        met = "met" if each["seconds"] < RESTORE_GOAL_S else "**missed**"
        peaks = f"{each['before_mib']:.0f} | {each['after_mib']:.0f}"
        lines.append(f"| {each['items']:,} | {each['seconds']:.1f} | {peaks} | {met} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=12_800)
    parser.add_argument(
        "--restore", default="100000,1000000", help="numbers of items, separated by commas; empty: none"
    )
    parser.add_argument("--write", action="store_true", help=f"write {OUT.relative_to(ROOT)}")
    parser.add_argument("--restore-one", nargs=3, metavar=("PATH", "INSTANT", "ITEMS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.restore_one:
        path, instant, size = arguments.restore_one
        print(json.dumps(restore_one(path, float(instant), int(size))))
        return
    with tempfile.TemporaryDirectory() as folder:
        cost = [
            one for feature in FEATURES for one in costs(Path(folder), arguments.rounds, arguments.requests, feature)
        ]
        sizes = [int(size) for size in arguments.restore.split(",") if size]
        restored = list(restores(Path(folder), sizes))
    command = " ".join(["python -m bench.bench_history", *sys.argv[1:]])
    text = page(command, arguments.rounds, arguments.requests, cost, restored)
    print(text)
    if arguments.write:
        OUT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
