"""The commands: their output, and their exit codes (0 nothing is wrong, 1 a rule is broken, 2 unusable)."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from bursar.dynamo.engine.engine import Engine
from bursar.rules import Put
from bursar.rules.command_inputs import Defaults
from bursar.rules.commands import audit, dynamo_rules, rules
from bursar.rules.language.render import rules_table, transitions_diagram
from bursar.rules.language.toml import rules_from_toml, rules_to_toml
from bursar.rules.transactions.iam_policy import iam_policies
from tests.support.rules.samples import ORDERS, item, line, order
from tests.support.rules.worlds import DEFINITION, TABLE, finish, ruled

ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/orders"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BURSAR_STORE", raising=False)
    monkeypatch.delenv("BURSAR_TABLE", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(rules_to_toml(ORDERS))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a file with one order and its line, written under the rules."""
    path = tmp_path / "store.db"
    engine = Engine.open(str(path))
    engine.execute("CreateTable", DEFINITION)

    class Store:
        async def call(self, operation: str, request: Any) -> Any:
            return engine.execute(operation, request)

    finish(ruled(Store(), ORDERS).write([Put(order()), Put(line())]))
    engine.close()
    return path


def put(data: Path, one: dict[str, Any]) -> None:
    engine = Engine.open(str(data))
    engine.execute("PutItem", {"TableName": TABLE, "Item": one})
    engine.close()


def run(command: Any, *arguments: object, obj: Any = None, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(command, [str(one) for one in arguments], obj=obj, input=stdin)


def test_audit_of_a_table_in_order(data: Path, file: Path) -> None:
    result = run(audit, "--store", f"file:{data}", "--table", TABLE, "--rules", file)
    assert (result.exit_code, result.stdout) == (0, "2 items and 2 sentinels read, 0 findings\n")


def test_audit_of_a_table_that_breaks_a_rule(data: Path, file: Path) -> None:
    put(data, line("zz"))
    result = run(audit, "--store", f"file:{data}", "--table", TABLE, "--rules", file)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        'orphan: Rule currency (agrees) refuses to put line {pk: "zz", sk: "line-1"}: its order does not exist; '
        'was absent, would be {currency: "USD"}',
        "3 items and 2 sentinels read, 1 findings",
    ]


def test_audit_as_json(data: Path, file: Path) -> None:
    put(data, line("zz"))
    result = run(audit, "--store", f"file:{data}", "--table", TABLE, "--rules", file, "--format", "json")
    finding, summary = map(orjson.loads, result.stdout.splitlines())
    assert (finding["kind"], finding["rule"], finding["key"]["pk"]) == ("orphan", "currency", {"S": "zz"})
    assert summary == {"items": 3, "findings": 1, "repaired": 0}


def test_audit_repairs(data: Path, file: Path) -> None:
    put(data, order(state="void"))
    arguments = ("--store", f"file:{data}", "--table", TABLE, "--rules", file)
    result = run(audit, *arguments, "--repair")
    assert result.exit_code == 0
    assert "which does not own its value (removed)" in result.stdout
    assert result.stdout.splitlines()[-1].endswith("1 findings, 1 of them repaired")
    assert run(audit, *arguments).exit_code == 0


def test_audit_adopts_a_table_that_was_there_before_its_rules(data: Path, file: Path) -> None:
    put(data, order("b"))
    arguments = ("--store", f"file:{data}", "--table", TABLE, "--rules", file)
    assert run(audit, *arguments).exit_code == 1
    result = run(audit, *arguments, "--adopt")
    assert result.exit_code == 0
    assert result.stdout.count("owns a value whose sentinel is absent (written)") == 2
    assert result.stdout.splitlines()[-1].endswith("2 findings, 2 of them repaired")
    assert run(audit, *arguments).stdout == "3 items and 4 sentinels read, 0 findings\n"
    assert run(audit, *arguments, "--adopt", "--native").exit_code == 2


def test_audit_of_a_change_stream(file: Path) -> None:
    lines = [
        orjson.dumps({"dynamodb": {"OldImage": old, "NewImage": new}})
        for old, new in ((order(), order(state="paid")), (order(state="paid"), order(state="open")))
    ]
    result = run(audit, "--rules", file, "--changes", "-", stdin=b"\n".join(lines))
    assert result.exit_code == 1
    assert "from paid, state moves only to sent" in result.stdout
    assert result.stdout.splitlines()[-1] == "1 findings"
    assert run(audit, "--rules", file, "--changes", "-", stdin=b"{").exit_code == 2


def test_rules_stored_with_the_table_are_found(data: Path, file: Path) -> None:
    assert run(dynamo_rules, "put", "--data", data, "--table", TABLE, "--rules", file).exit_code == 0
    assert run(audit, "--store", f"file:{data}", "--table", TABLE).exit_code == 0
    shown = run(rules, "show", "--store", f"file:{data}", "--table", TABLE, "--form", "toml")
    assert rules_from_toml(shown.stdout) == ORDERS


def test_the_programs_own_rules_are_the_default(data: Path) -> None:
    defaults = Defaults(store_url=f"file:{data}", table=TABLE, rules=lambda: ORDERS)
    assert run(audit, obj={"rules": lambda: defaults}).exit_code == 0
    assert run(rules, "show", obj={"rules": lambda: defaults}).stdout == rules_table(ORDERS)


UNUSABLE = {
    "no store": ("--table", TABLE),
    "no table": ("--store", "file:x.db"),
    "bad store": ("--store", "nonsense:x", "--table", TABLE),
    "no folder": ("--store", "file:/no/such/folder/x.db", "--table", TABLE),
    "no such table": ("--store", "file::memory:", "--table", "other"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_audited_is_one_line_and_exit_code_2(name: str, file: Path) -> None:
    result = run(audit, *UNUSABLE[name], "--rules", file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("bursar: ")
    assert result.stderr.count("\n") == 1


def test_without_rules_there_is_nothing_to_audit(data: Path, tmp_path: Path) -> None:
    result = run(audit, "--store", f"file:{data}", "--table", TABLE)
    assert (result.exit_code, result.stderr) == (2, "bursar: no rules found; give a file with --rules\n")
    bad = tmp_path / "bad.toml"
    bad.write_text("x = 1")
    result = run(audit, "--store", f"file:{data}", "--table", TABLE, "--rules", bad)
    assert result.exit_code == 2
    assert "bad.toml: rules: must have only" in result.stderr
    assert run(rules, "show", "--rules", tmp_path / "none.toml").exit_code == 2


@pytest.mark.parametrize("form", ["table", "toml", "mermaid", "ascii"])
def test_rules_in_every_form(form: str, file: Path) -> None:
    result = run(rules, "show", "--rules", file, "--form", form)
    expected = {"table": rules_table(ORDERS), "toml": rules_to_toml(ORDERS)}
    assert result.exit_code == 0
    assert result.stdout == expected.get(
        form, transitions_diagram(ORDERS, "moves", "mermaid" if form == "mermaid" else "ascii")
    )


def test_drawing_needs_a_graph(tmp_path: Path, file: Path) -> None:
    plain = tmp_path / "plain.toml"
    plain.write_text('partition_key = "pk"')
    assert "no transitions rule to draw" in run(rules, "show", "--rules", plain, "--form", "ascii").stderr
    result = run(rules, "show", "--rules", file, "--form", "ascii", "--name", "number")
    assert (result.exit_code, result.stderr) == (2, "bursar: rule 'number': must be a transitions rule; got unique\n")


def test_iam_policy(file: Path) -> None:
    role = "arn:aws:iam::123456789012:role/portal"
    result = run(rules, "iam-policy", "--rules", file, "--table-arn", ARN, "--writer", role)
    assert orjson.loads(result.stdout) == iam_policies(ORDERS, ARN, (role,))


# --- bursar dynamo rules ---------------------------------------------------------------------------------------------


def test_rules_are_put_shown_checked_and_dropped(data: Path, file: Path) -> None:
    where = ("--data", data, "--table", TABLE)
    assert run(dynamo_rules, "check", *where, "--rules", file).exit_code == 0
    assert run(dynamo_rules, "show", *where).exit_code == 2
    assert run(dynamo_rules, "put", *where, "--rules", file).exit_code == 0
    assert run(dynamo_rules, "show", *where).stdout == rules_to_toml(ORDERS)
    assert run(dynamo_rules, "show", *where, "--form", "table").stdout == rules_table(ORDERS)
    assert run(dynamo_rules, "drop", *where).exit_code == 0
    assert run(dynamo_rules, "show", *where).exit_code == 2


def test_rules_are_not_put_on_a_table_that_breaks_them(data: Path, file: Path) -> None:
    where = ("--data", data, "--table", TABLE)
    put(data, item("x", "y", "stranger"))
    checked = run(dynamo_rules, "check", *where, "--rules", file)
    assert checked.exit_code == 1
    refused = run(dynamo_rules, "put", *where, "--rules", file)
    assert refused.exit_code == 1
    assert "Rule kind (kind)" in checked.stdout
    assert "Rule kind (kind)" in refused.stderr
    assert "nothing was stored" in refused.stderr
    assert run(dynamo_rules, "show", *where).exit_code == 2


def test_an_unusable_file_or_table_is_exit_code_2(data: Path, file: Path, tmp_path: Path) -> None:
    no_store = tmp_path / "text.db"
    no_store.write_text("not a database, but long enough to be taken for one" * 50)
    assert run(dynamo_rules, "put", "--data", no_store, "--table", TABLE, "--rules", file).exit_code == 2
    assert run(dynamo_rules, "put", "--data", data, "--table", "other", "--rules", file).exit_code == 2
