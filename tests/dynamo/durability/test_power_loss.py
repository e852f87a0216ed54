"""A power loss at any moment, with any unsynced sectors missing, keeps every acknowledged write.

POWER_CUTS=2000 cuts more often than a test run does.
"""

import os
import random
from pathlib import Path

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.storage.integrity_check import check_store
from tests.support.dynamo.recording_disk import Journal, Noted, after_power_loss, recording
from tests.support.dynamo.stamps import stamped, table_of_all

CUTS = int(os.environ.get("POWER_CUTS", "60"))
REQUESTS = 40
TRANSACTION_ITEMS = 3


def journal_of_writes(path: Path, *, synchronous: str = "FULL", checkpoint_pages: int = 30) -> Journal:
    """Write transactions of three items with one stamp, record each acknowledgement, and checkpoint among them."""
    with recording(f"disk-{synchronous}-{checkpoint_pages}") as disk:
        engine = Engine.open(str(path))
        engine.execute("CreateTable", table_of_all())
        engine._storage.connection.execute(f"PRAGMA wal_autocheckpoint={checkpoint_pages}")
        engine._storage.connection.execute(f"PRAGMA synchronous={synchronous}")
        disk.note(0)
        for number in range(1, REQUESTS + 1):
            items = [stamped((f"p{place}", "one"), number, number * 60) for place in range(TRANSACTION_ITEMS)]
            actions = [{"Put": {"TableName": "orders", "Item": item}} for item in items]
            engine.execute("TransactWriteItems", {"TransactItems": actions})
            disk.note(number)
        engine.close()
        return disk.journal


def faults_after(journal: Journal, at: int, luck: random.Random, folder: Path) -> list[str]:
    """Return the problems of the store after a power loss at this point."""
    folder.mkdir()
    for name, content in after_power_loss(journal, at, luck).items():
        (folder / name).write_bytes(content)
    acknowledged = max(event.number for event in journal[:at] if isinstance(event, Noted))
    path = str(folder / "store.db")
    faults = check_store(path)
    if faults:
        return faults
    engine = Engine.open(path)
    there = engine.execute("ListTables", {})["TableNames"]
    items = engine.execute("Scan", {"TableName": "orders"})["Items"] if there else []
    engine.close()
    if not there:
        return ["the table is gone"]
    stamps = [int(item["stamp"]["N"]) for item in items]
    if acknowledged and len(stamps) != TRANSACTION_ITEMS:
        return [f"{acknowledged} acknowledged, {len(stamps)} items there"]
    if len(set(stamps)) > 1:
        return [f"torn: {stamps}"]
    if stamps and stamps[0] < acknowledged:
        return [f"{acknowledged} acknowledged, {stamps[0]} is there"]
    whole = [stamped((item["pk"]["S"], "one"), stamp, stamp * 60) for item, stamp in zip(items, stamps, strict=True)]
    return [] if whole == items else ["an item is torn"]


def moments(journal: Journal, luck: random.Random) -> list[int]:
    first = next(position for position, event in enumerate(journal) if isinstance(event, Noted))
    everywhere = range(first + 1, len(journal) + 1)
    return sorted(luck.sample(everywhere, min(CUTS, len(everywhere))))


def test_acknowledged_writes_survive_a_power_loss_at_any_moment(tmp_path: Path) -> None:
    luck = random.Random(1)
    journal = journal_of_writes(tmp_path / "store.db")
    faults = {at: faults_after(journal, at, luck, tmp_path / str(at)) for at in moments(journal, luck)}
    assert {at: found for at, found in faults.items() if found} == {}


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_without_a_sync_at_each_commit_the_same_judge_finds_losses(tmp_path: Path, synchronous: str) -> None:
    luck = random.Random(1)
    journal = journal_of_writes(tmp_path / "store.db", synchronous=synchronous)
    cuts = moments(journal, luck)
    assert any(faults_after(journal, at, luck, tmp_path / str(at)) for at in cuts)
