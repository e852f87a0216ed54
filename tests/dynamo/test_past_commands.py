"""`bursar dynamo branch|snapshot|rollback|reset|log|diff`."""

import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bursar.dynamo import Engine, past_commands
from bursar.dynamo.commands import dynamo
from bursar.dynamo.storage.history import DAY_S, PERIOD_DAYS_MAX
from bursar.dynamo.storage.integrity_check import check_store
from tests.support.dynamo.past import TABLE, held, turn_on
from tests.support.dynamo.stream_readers import HandClock
from tests.support.dynamo.tables import item, put, table


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    """Return the clock of the store and of the commands."""
    clock = HandClock()
    clock.now = 1_700_000_000.0
    monkeypatch.setattr(past_commands, "system_clock", clock)
    return clock


@pytest.fixture
def path(tmp_path: Path, clock: HandClock) -> Path:
    """Return a store whose item ``a`` was put, changed and deleted, a second apart, and whose item ``b`` is older."""
    file = tmp_path / "store.db"
    engine = Engine.open(str(file), clock=clock, randomness=random.Random(1))
    engine.execute("CreateTable", table())
    engine.execute("CreateTable", table("forgetful"))
    put(engine, TABLE, item(pk="b", sk="1", n=0))
    turn_on(engine)
    for number in (1, 2):
        clock.now += 1
        put(engine, TABLE, item(pk="a", sk="1", n=number))
    clock.now += 1
    engine.execute("DeleteItem", {"TableName": TABLE, "Key": item(pk="a", sk="1")})
    put(engine, TABLE, item(pk="b", sk="1", n=5))
    engine.close()
    return file


def run(*arguments: str | Path, answer: str | None = None) -> Result:
    return CliRunner().invoke(dynamo, [str(argument) for argument in arguments], input=answer)


def test_log_shows_the_versions_of_an_item(path: Path) -> None:
    logged = run("log", "--data", path, TABLE, "pk=a", "sk=1")
    assert logged.output == (
        '2023-11-14T22:13:21.000000Z  {"pk":{"S":"a"},"sk":{"S":"1"},"n":{"N":"1"}}\n'
        '2023-11-14T22:13:22.000000Z  {"pk":{"S":"a"},"sk":{"S":"1"},"n":{"N":"2"}}\n'
        "2023-11-14T22:13:23.000000Z  deleted\n"
    )
    older = run("log", "--data", path, TABLE, "pk=b", "sk=1").output.splitlines()
    assert [line.split("  ")[0] for line in older] == ["before the past", "2023-11-14T22:13:23.000000Z"]
    assert run("log", "--data", path, TABLE, "pk=never", "sk=1").output == ""


def test_diff_shows_what_changed_between_two_instants(path: Path) -> None:
    early = run("diff", "--data", path, TABLE, "2023-11-14T22:13:20", "1700000002")
    assert early.output == '+ {"pk":{"S":"a"},"sk":{"S":"1"},"n":{"N":"2"}}\n'
    late = run("diff", "--data", path, TABLE, "2023-11-14T23:13:21+01:00")
    assert late.output == (
        '- {"pk":{"S":"a"},"sk":{"S":"1"},"n":{"N":"1"}}\n'
        '- {"pk":{"S":"b"},"sk":{"S":"1"},"n":{"N":"0"}}\n'
        '+ {"pk":{"S":"b"},"sk":{"S":"1"},"n":{"N":"5"}}\n'
    )
    assert run("diff", "--data", path, TABLE, "1700000003", "now").output == ""
    assert check_store(str(path)) == []


def test_a_diff_does_not_reach_into_the_part_of_the_past_that_is_removed(path: Path, clock: HandClock) -> None:
    clock.now = 1_700_000_001.5 + PERIOD_DAYS_MAX * DAY_S
    refused = run("diff", "--data", path, TABLE, "1700000001")
    assert refused.output == (
        "bursar dynamo: instant: must not be before the table's past, which begins at 2023-11-14T22:13:21.500000Z\n"
    )
    assert len(run("diff", "--data", path, TABLE, "1700000002").output.splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("log", "absent", "pk=a"), "there is no table absent"),
        (("log", "forgetful", "pk=a", "sk=1"), "forgetful has no past: its point-in-time recovery is off"),
        (("log", TABLE, "pk=a"), "key: The provided key element does not match the schema"),
        (("log", TABLE, "a", "1"), "key: must be pk=VALUE sk=VALUE; got a 1"),
        (("diff", TABLE, "yesterday"), "instant: must be ISO 8601, seconds since the epoch, or now; got yesterday"),
        (
            ("diff", TABLE, "1600000000"),
            "instant: must not be before the table's past, which begins at 2023-11-14T22:13:20.000000Z",
        ),
        (("diff", TABLE, "nan"), "instant: must be ISO 8601, seconds since the epoch, or now; got nan"),
        (("diff", TABLE, "1e300"), "instant: must be ISO 8601, seconds since the epoch, or now; got 1e300"),
        (
            ("diff", TABLE, "now", "1700000001"),
            "instant: must not be before the earlier one, which is given first",
        ),
        (("rollback", "--yes", "x"), "there is no snapshot x; there are: none"),
    ],
)
def test_a_question_that_cannot_be_answered(path: Path, arguments: tuple[str, ...], message: str) -> None:
    command, *rest = arguments
    refused = run(command, "--data", path, *rest)
    assert (refused.exit_code, refused.output) == (2, f"bursar dynamo: {message}\n")


def test_a_branch_and_a_snapshot_are_made_and_brought_back(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.db"
    made = run("branch", path, target)
    assert (made.exit_code, str(target) in made.output) == (0, True)
    assert run("branch", tmp_path / "absent.db", tmp_path / "c.db").exit_code == 2
    assert run("snapshot", "--data", path, "seeded").exit_code == 0
    assert run("snapshot", "--data", path).output == "seeded\n"
    engine = Engine.open(str(path))
    put(engine, TABLE, item(pk="later", sk="1"))
    assert run("rollback", "--data", path, "seeded", answer="n\n").exit_code == 1
    assert ("later", "1") in held(engine)
    assert run("rollback", "--data", path, "seeded", answer="y\n").exit_code == 0
    assert set(held(engine)) == {("b", "1")}
    assert run("rollback", "--data", path, "seeded", "--yes").exit_code == 0
    assert run("snapshot", "--data", path, "seeded", "--remove").exit_code == 0
    assert run("snapshot", "--data", path).output == ""
    engine.close()


def test_reset_removes_everything_also_for_an_open_engine(path: Path) -> None:
    engine = Engine.open(str(path))
    backup = engine.execute("CreateBackup", {"TableName": TABLE, "BackupName": "one"})["BackupDetails"]["BackupArn"]
    assert run("reset", "--data", path, answer="n\n").exit_code == 1
    assert run("reset", "--data", path, "--yes").exit_code == 0
    assert engine.execute("ListTables", {}) == {"TableNames": []}
    assert engine.execute("ListBackups", {"BackupType": "ALL"}) == {"BackupSummaries": []}
    assert backup.startswith("arn:")
    engine.execute("CreateTable", table())
    turn_on(engine)
    put(engine, TABLE, item(pk="a", sk="1"))
    assert set(held(engine)) == {("a", "1")}
    engine.reset()
    assert engine.execute("ListTables", {}) == {"TableNames": []}
    engine.close()
    assert check_store(str(path)) == []
