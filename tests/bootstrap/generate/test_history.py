"""A generated history is one that the real ledger and engine would have written. It depends on its seed."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import apsw
import pytest
from click.testing import CliRunner

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.generate.calendar import end_of, history_days, start_times
from bursar.bootstrap.generate.commands import generate
from bursar.bootstrap.generate.demo_history import MADE_UP_CLIENTS
from bursar.bootstrap.generate.history import DayPlayer, HistoryPlan, write_history
from bursar.bootstrap.generate.new_store import generate_store
from bursar.bootstrap.generate.stories import Stories, StoryClock
from bursar.bootstrap.up import BOOKS_FILE
from bursar.cli import bursar
from bursar.dynamo import AsyncEngine
from bursar.dynamo.tools.bulk_fill import RowMaker, TableDefinition
from bursar.paygov.simulator import Books
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.records import attempt_from_item
from bursar.settings import Settings
from bursar.startup import CannotStart

PLAN = HistoryPlan(400, 2, 7, date(2026, 11, 28), None, MADE_UP_CLIENTS)


def made(folder: Path, plan: HistoryPlan = PLAN, processes: int = 1) -> Counter[str]:
    settings = Settings(data=str(folder / "data"))
    return generate_store(plan, settings, lambda day: None, processes=processes).statuses


def items_of(path: Path) -> list[Any]:
    with apsw.Connection(str(path)) as connection:
        rows: list[Any] = connection.execute("SELECT key, size, item FROM items_1 ORDER BY key").fetchall()
    connection.close()
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("history")
    made(folder)
    return folder


def test_no_rule_and_no_chain_is_broken_and_the_file_is_sound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURSAR_DATA", str(folder / "data"))
    for arguments in (["audit"], ["audit", "--chain"]):
        result = CliRunner().invoke(bursar, arguments)
        assert (result.exit_code, "0 findings" in result.output) == (0, True), result.output
    checked = CliRunner().invoke(bursar, ["dynamo", "--data", str(folder / "data" / "bursar.db"), "check"])
    assert checked.output.strip() == "sound"


def test_the_history_depends_on_the_seed_alone(folder: Path, tmp_path: Path) -> None:
    made(tmp_path / "again", processes=2)
    assert items_of(tmp_path / "again" / "data" / "bursar.db") == items_of(folder / "data" / "bursar.db")
    made(tmp_path / "other", replace(PLAN, seed=8))
    assert items_of(tmp_path / "other" / "data" / "bursar.db") != items_of(folder / "data" / "bursar.db")


async def test_the_engine_would_have_stored_the_same_items() -> None:
    clock, draw = StoryClock(end_of(PLAN.until)), random.Random()
    async with Composition(Settings(store="file::memory:"), clock=clock) as parts:
        store, fees = await parts.store(), parts.fees
        await parts.ledger()
        assert isinstance(store, AsyncEngine)
        ledger = Ledger(store, clock=clock, randomness=draw, fees=fees, compare_and_swap=store.compare_and_swap)
        [table] = store.engine.read_committed(lambda core: core.tables())
        definition = TableDefinition(table.id, table.name, json.dumps(table.document).encode(), table.rules)
        player = DayPlayer(PLAN, RowMaker(definition))
        days = [day for day in history_days(400, 2, PLAN.until) if day.payments][:20]
        generated = [row for day in days for row in (await player.play(day)).rows.rows]
        stories = Stories(ledger, clock, draw)
        player._draw = draw
        for day in days:
            draw.seed(f"{PLAN.seed} {day.day}")
            for at in start_times(day, draw):
                payer = player._payer(at)
                assert payer is not None
                await stories.play(payer, at)
        stored: list[Any] = store.engine.read_committed(
            lambda core: core.storage.connection.execute(f"SELECT key, size, item FROM items_{table.id}").fetchall()
        )
    assert len(generated) > 500
    assert sorted((key, size, json.loads(item)) for key, size, item in generated) == sorted(
        (key, size, json.loads(item)) for key, size, item in stored
    )


def test_the_history_has_every_kind_of_payment(tmp_path: Path) -> None:
    statuses = made(tmp_path, replace(PLAN, payments=3000))
    assert statuses.keys() >= {"processed", "failed", "pending"}
    kinds = Counter(json.loads(item)["kind"]["S"] for _, _, item in items_of(tmp_path / "data" / "bursar.db"))
    assert kinds.keys() >= {"obligation", "attempt", "event", "sentinel", "reversal", "refund_request"}
    assert kinds["attempt"] == statuses.total() > kinds["obligation"] == 3000


def test_the_simulator_knows_what_the_sweeper_may_ask(folder: Path) -> None:
    books = Books(folder / "data" / BOOKS_FILE)
    items = [json.loads(item) for _, _, item in items_of(folder / "data" / "bursar.db")]
    watched = [item for item in items if item["kind"]["S"] == "attempt" and "dueAt" in item]
    assert watched
    assert len(books) == len(watched)
    for item in watched:
        [entry] = books.entries(item["agencyTrackingId"]["S"])
        assert (entry.token, entry.paygov_tracking_id) == (
            item["token"]["S"],
            item.get("payGovTrackingId", {}).get("S"),
        )
    books.close()


def test_a_history_is_never_mixed_with_other_payments(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"bursar\.db exists: a made-up history needs a new folder"):
        made(folder)
    with pytest.raises(CannotStart, match="must be a file"):
        generate_store(PLAN, Settings(store="dynamodb:"), lambda day: None)
    with pytest.raises(ValueError, match="must be an empty table"):
        write_history(PLAN, folder / "data" / "bursar.db", "bursar-payments", None, processes=1)


def test_an_interrupted_run_leaves_nothing_that_looks_like_a_store(tmp_path: Path) -> None:
    def stop(day: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_store(PLAN, Settings(data=str(tmp_path / "data")), stop, processes=1)
    assert list((tmp_path / "data").iterdir()) == []
    made(tmp_path)


def test_the_command_says_what_it_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["--payments", "30", "--months", "1", "--until", "2026-11-28", "--data", "made"]
    result = CliRunner().invoke(generate, arguments)
    assert result.exit_code == 0, result.output
    assert "from seed 1, until 2026-11-28: file:made/bursar.db" in result.output
    assert CliRunner().invoke(generate, arguments).exit_code == 2
    assert asyncio.run(counted(Settings(data="made"))) >= 30


async def counted(settings: Settings) -> int:
    async with Composition(settings, creates_store=False) as parts:
        answer = await (await parts.reports()).sql("SELECT count(*) FROM payments")
        return int(answer.rows[0][0])


def test_the_sweeper_is_not_late_for_a_settled_debit_when_the_history_ends(folder: Path) -> None:
    items = [json.loads(item) for _, _, item in items_of(folder / "data" / "bursar.db")]
    attempts = [attempt_from_item(item) for item in items if item["kind"]["S"] == "attempt"]
    due = [each.due_at for each in attempts if each.status == "processed" and each.due_at is not None]
    assert min(due) > end_of(PLAN.until)
