"""Write guards: their view, the values they own, and that a refusal leaves nothing behind."""

import random
from collections.abc import Iterator, Sequence

import pytest

from bursar.dynamo import Change, DynamoError, Engine, GuardView, Refusal, RulesRefused, TableCheck
from bursar.dynamo.core.guards import Guard
from tests.support.dynamo.tables import item, put, refusal, refused, table

UNIQUE_EMAIL = "email is unique"


class UniqueEmail(Guard):
    """A rule: no two items have the same email; an item without one may have any content."""

    def __init__(self, document: str) -> None:
        if document != UNIQUE_EMAIL:
            raise ValueError(f"not understood: {document}")
        self.seen: list[Sequence[Change]] = []

    def judge(self, changes: Sequence[Change]) -> Refusal | TableCheck:
        self.seen.append(changes)
        return lambda view: self._look(changes, view)

    def _look(self, changes: Sequence[Change], view: GuardView) -> Refusal | None:
        for change in changes:
            assert view.get(change.table, change.key) == change.new
            if change.old and "email" in change.old:
                view.release("email", change.old["email"]["S"].encode())
        for at, change in enumerate(changes):
            if change.new and "email" in change.new:
                value, mine = change.new["email"]["S"].encode(), change.key["pk"]["S"].encode()
                if view.owner("email", value) not in (None, mine):
                    return Refusal(at, "another item has this email")
                view.set_owner("email", value, mine)
        return None

    def adopt(self, view: GuardView, table_name: str) -> list[str]:
        violations = []
        for one in view.scan(table_name):
            if "email" not in one:
                continue
            value = one["email"]["S"].encode()
            if view.owner("email", value) is not None:
                violations.append(f"{one['pk']['S']}: email taken")
            view.set_owner("email", value, one["pk"]["S"].encode())
        return violations


@pytest.fixture
def guarded() -> Iterator[Engine]:
    opened = Engine.open(":memory:", clock=lambda: 0.0, randomness=random.Random(1), guard_loader=UniqueEmail)
    opened.execute("CreateTable", table("users", ("pk:S",), global_indexes={"by-email": ("email:S",)}))
    put(opened, "users", item(pk="a", email="a@x"))
    opened.put_rules_document("users", UNIQUE_EMAIL)
    yield opened
    opened.close()


def everything(engine: Engine) -> list[str]:
    return [one["pk"]["S"] for one in engine.execute("Scan", {"TableName": "users"})["Items"]]


def test_a_single_write_is_refused_with_the_guards_words(guarded: Engine) -> None:
    request = {"TableName": "users", "Item": item(pk="b", email="a@x")}
    error = refused(lambda: guarded.execute("PutItem", request), "ConditionalCheckFailedException")
    assert error.message == "another item has this email"
    assert everything(guarded) == ["a"]
    assert guarded.execute("Scan", {"TableName": "users", "IndexName": "by-email"})["Count"] == 1
    assert guarded.execute("DescribeTable", {"TableName": "users"})["Table"]["ItemCount"] == 1


def test_a_refusal_releases_the_values_that_the_request_owned(guarded: Engine) -> None:
    actions = [
        {"Put": {"TableName": "users", "Item": item(pk="b", email="b@x")}},
        {"Put": {"TableName": "users", "Item": item(pk="c", email="a@x")}},
    ]
    error = refused(
        lambda: guarded.execute("TransactWriteItems", {"TransactItems": actions}), "TransactionCanceledException"
    )
    assert error.cancellation_reasons == [
        {"Code": "None"},
        {"Code": "ConditionalCheckFailed", "Message": "another item has this email"},
    ]
    put(guarded, "users", item(pk="d", email="b@x"))
    assert everything(guarded) == ["a", "d"]


def test_a_reason_is_at_the_position_of_its_action(guarded: Engine) -> None:
    check = {"TableName": "users", "Key": item(pk="a"), "ConditionExpression": "attribute_exists(pk)"}
    actions = [
        {"ConditionCheck": check},
        {"Put": {"TableName": "users", "Item": item(pk="c", email="a@x")}},
    ]
    error = refused(
        lambda: guarded.execute("TransactWriteItems", {"TransactItems": actions}), "TransactionCanceledException"
    )
    assert error.cancellation_reasons is not None
    assert [reason["Code"] for reason in error.cancellation_reasons] == ["None", "ConditionalCheckFailed"]


def test_a_value_may_move_within_one_transaction(guarded: Engine) -> None:
    actions = [
        {"Put": {"TableName": "users", "Item": item(pk="a")}},
        {"Put": {"TableName": "users", "Item": item(pk="b", email="a@x")}},
    ]
    guarded.execute("TransactWriteItems", {"TransactItems": actions})
    assert everything(guarded) == ["a", "b"]


def test_one_refused_request_leaves_the_rest_of_its_group(guarded: Engine) -> None:
    from bursar.dynamo.engine.engine import operation_named

    put_item = operation_named("PutItem")
    group = [
        (put_item, {"TableName": "users", "Item": item(pk=pk, email=email)})
        for pk, email in (("b", "b@x"), ("c", "b@x"), ("d", "d@x"))
    ]
    first, second, third = guarded.run_group(group)
    assert (first, third) == (b"{}", b"{}")
    assert isinstance(second, DynamoError)
    assert everything(guarded) == ["a", "b", "d"]


def test_a_batch_is_refused_whole(guarded: Engine) -> None:
    requests = [{"PutRequest": {"Item": item(pk=pk, email="z@x")}} for pk in ("b", "c")]
    batch = {"RequestItems": {"users": requests}}
    refusal(guarded, "BatchWriteItem", batch, "ConditionalCheckFailedException")
    assert everything(guarded) == ["a"]


def test_rules_that_the_table_breaks_are_not_adopted(guarded: Engine) -> None:
    guarded.put_rules_document("users", None)
    put(guarded, "users", item(pk="b", email="a@x"))
    with pytest.raises(RulesRefused) as raised:
        guarded.put_rules_document("users", UNIQUE_EMAIL)
    assert raised.value.violations == ["b: email taken"]
    assert guarded.rules_document("users") is None
    put(guarded, "users", item(pk="c", email="a@x"))


def test_rules_that_cannot_be_read_are_not_kept(guarded: Engine) -> None:
    with pytest.raises(DynamoError, match="not understood"):
        guarded.put_rules_document("users", "gibberish")
    assert guarded.rules_document("users") == UNIQUE_EMAIL


def test_an_engine_without_a_guard_loader_refuses_writes_to_a_table_with_rules(tmp_path: object) -> None:
    path = f"{tmp_path}/portal.db"
    engine = Engine.open(path, guard_loader=UniqueEmail)
    engine.execute("CreateTable", table("users", ("pk:S",)))
    engine.put_rules_document("users", UNIQUE_EMAIL)
    engine.close()
    blind = Engine.open(path)
    message = refusal(blind, "PutItem", {"TableName": "users", "Item": item(pk="a")})
    assert "opened without a guard loader" in message
    assert everything(blind) == []
    blind.close()


def test_a_removed_table_takes_its_unique_values_with_it(guarded: Engine) -> None:
    guarded.execute("DeleteTable", {"TableName": "users"})
    assert guarded._core.storage.connection.execute("SELECT count(*) FROM owners").get == 0
