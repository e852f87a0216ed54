"""PynamoDB: models, indexes, conditions, batches and transactions over HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest
from pynamodb.attributes import ListAttribute, NumberAttribute, UnicodeAttribute, UnicodeSetAttribute, VersionAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import DeleteError, DoesNotExist, PutError, TransactWriteError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model
from pynamodb.transactions import TransactGet, TransactWrite

from tests.support.dynamo.served import Served

TITLES = [f"note {number:02}" for number in range(30)]


@pytest.fixture
def note(server: Served) -> Iterator[Any]:
    """Return a model whose table exists."""

    class ByState(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]  # pynamodb has not typed its hook
        class Meta:
            index_name = "by-state"
            projection = AllProjection()

        state = UnicodeAttribute(hash_key=True)
        size = NumberAttribute(range_key=True)

    class Note(Model):
        class Meta:
            table_name = "notes"
            host = server.url
            region = "us-east-1"
            aws_access_key_id = "any"
            aws_secret_access_key = "any"
            billing_mode = "PAY_PER_REQUEST"

        owner = UnicodeAttribute(hash_key=True)
        title = UnicodeAttribute(range_key=True)
        state = UnicodeAttribute(default="new")
        size = NumberAttribute(default=0)
        tags: Any = UnicodeSetAttribute(null=True)
        lines: Any = ListAttribute(null=True)
        version = VersionAttribute()
        by_state = ByState()

    Note.create_table(wait=True)
    yield Note
    Note.delete_table()


def test_models_are_kept_found_and_paged(note: Any) -> None:
    with note.batch_write() as batch:
        for number, title in enumerate(TITLES):
            batch.save(note("ada", title, size=number, state="old" if number % 3 else "new", tags={"a", title}))
    assert [one.title for one in note.query("ada", page_size=7)] == TITLES
    found = note.query("ada", note.title.startswith("note 1"), note.size > 14, scan_index_forward=False)
    assert [one.title for one in found] == TITLES[19:14:-1]
    assert [one.size for one in note.by_state.query("new", note.size < 10)] == [0, 3, 6, 9]
    assert note.count("ada", filter_condition=note.tags.contains("note 05")) == 1
    assert {one.title for one in note.batch_get([("ada", title) for title in TITLES])} == set(TITLES)
    assert (
        sum(1 for _ in note.scan(segment=0, total_segments=2)) + sum(1 for _ in note.scan(segment=1, total_segments=2))
        == 30
    )


def test_updates_and_versions(note: Any) -> None:
    one = note("ada", "a", lines=[1])
    one.save()
    stale = note.get("ada", "a")
    one.update(actions=[note.size.add(5), note.lines.set(note.lines.append(["b"])), note.tags.set({"x", "y"})])
    one.update(actions=[note.tags.delete({"x"}), note.state.remove()])
    found = note.get("ada", "a", consistent_read=True)
    assert (found.size, found.lines, found.tags, found.version) == (5, [1, "b"], {"y"}, 3)
    with pytest.raises(PutError) as refused:
        stale.save()
    assert refused.value.cause_response_code == "ConditionalCheckFailedException"
    with pytest.raises(DeleteError):
        one.delete(condition=note.size == 4)
    one.delete()
    with pytest.raises(DoesNotExist):
        note.get("ada", "a")


def test_transactions(note: Any, server: Served) -> None:
    note("ada", "a").save()
    connection = Connection(region="us-east-1", host=server.url)
    connection.session.set_credentials("any", "any")
    refused = TransactWrite(connection=connection)
    refused.save(note("ada", "b"))
    refused.save(note("ada", "a"))
    with pytest.raises(TransactWriteError) as cancelled:
        refused._commit()
    assert [reason and reason.code for reason in cancelled.value.cancellation_reasons] == [
        None,
        "ConditionalCheckFailed",
    ]
    with TransactWrite(connection=connection) as transaction:
        transaction.save(note("ada", "b"))
        transaction.update(note("ada", "a", version=1), actions=[note.size.set(7)])
    with TransactGet(connection=connection) as transaction:
        both = [transaction.get(note, "ada", title) for title in "ab"]
    assert [one.get().size for one in both] == [7, 0]
