"""The feed of a table's changes: complete, in commit order, and lost only when the stream cannot continue."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bursar.dynamo import Engine
from bursar.dynamo.engine.change_feed import ChangeFeed, PositionLost
from tests.support.dynamo.tables import item, table


class Moment:
    """A clock that tests set."""

    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def moment() -> Moment:
    return Moment()


def opened(path: Path, moment: Moment) -> Engine:
    return Engine.open(str(path), clock=moment, randomness=random.Random(1))


@pytest.fixture
def orders(tmp_path: Path, moment: Moment) -> Iterator[Engine]:
    engine = opened(tmp_path / "portal.db", moment)
    engine.execute("CreateTable", table())
    yield engine
    engine.close()


def put(engine: Engine, pk: str, **attributes: Any) -> None:
    engine.execute("PutItem", {"TableName": "orders", "Item": item(pk=pk, sk="1", **attributes)})


def test_changes_come_in_commit_order_whatever_the_clock_shows(orders: Engine, moment: Moment) -> None:
    feed = ChangeFeed(orders, "orders")
    begun = feed.position()
    for step, pk in enumerate("abc"):
        moment.now += (3600, -7200, 3600)[step]
        put(orders, pk)
    changed, after = feed.since(begun, 10)
    assert [one.item["pk"]["S"] for one in changed] == ["a", "b", "c"]
    assert [one.inserted for one in changed] == [True] * 3
    assert feed.since(after, 10) == ([], after)
    assert feed.position() == after


def test_an_item_that_changed_twice_is_read_once_in_its_present_state(orders: Engine) -> None:
    feed = ChangeFeed(orders, "orders")
    begun = feed.position()
    put(orders, "a", n=1)
    put(orders, "b")
    put(orders, "a", n=2)
    changed, _ = feed.since(begun, 10)
    assert [(one.item["pk"]["S"], one.sequence) for one in changed] == [("b", 2), ("a", 3)]
    assert changed[1].item["n"] == {"N": "2"}


def test_pages_tile_the_changes(orders: Engine) -> None:
    feed = ChangeFeed(orders, "orders")
    at, seen = feed.position(), []
    for number in range(10):
        put(orders, str(number))
    while page := feed.since(at, 3):
        if page[1] == at:
            break
        seen += [one.item["pk"]["S"] for one in page[0]]
        at = page[1]
    assert seen == [str(number) for number in range(10)]


def test_a_deleted_item_is_left_out(orders: Engine) -> None:
    feed = ChangeFeed(orders, "orders")
    begun = feed.position()
    put(orders, "a")
    orders.execute("DeleteItem", {"TableName": "orders", "Key": item(pk="a", sk="1")})
    changed, after = feed.since(begun, 10)
    assert changed == []
    assert after.sequence == 2


def test_the_stream_of_a_table_that_has_one_is_used(orders: Engine) -> None:
    specification = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    orders.execute("UpdateTable", {"TableName": "orders", "StreamSpecification": specification})
    feed = ChangeFeed(orders, "orders")
    begun = feed.position()
    put(orders, "a")
    assert len(feed.since(begun, 10)[0]) == 1


def test_a_second_process_follows_the_changes_of_the_first(orders: Engine, tmp_path: Path, moment: Moment) -> None:
    other = opened(tmp_path / "portal.db", moment)
    feed = ChangeFeed(other, "orders")
    begun = feed.position()
    put(orders, "a")
    assert len(feed.since(begun, 10)[0]) == 1
    other.close()


def test_a_position_is_lost_when_the_changes_after_it_were_removed(orders: Engine, moment: Moment) -> None:
    feed = ChangeFeed(orders, "orders")
    begun = feed.position()
    put(orders, "a")
    read_to = feed.position()
    moment.now += 25 * 3600
    orders.run_housekeeping()
    assert feed.since(read_to, 1) == ([], read_to), "nothing after it was removed"
    with pytest.raises(PositionLost, match="24 hours"):
        feed.since(begun, 1)


def test_a_position_is_lost_in_a_store_that_was_replaced_by_an_older_copy(
    orders: Engine, tmp_path: Path, moment: Moment
) -> None:
    feed = ChangeFeed(orders, "orders")
    put(orders, "a")
    orders.close()
    copy = tmp_path / "copy.db"
    copy.write_bytes((tmp_path / "portal.db").read_bytes())
    newer = opened(tmp_path / "portal.db", moment)
    feed = ChangeFeed(newer, "orders")
    moment.now += 1
    put(newer, "b")
    put(newer, "c")
    position = feed.position()
    newer.close()
    older = opened(copy, moment)
    restored = ChangeFeed(older, "orders")
    with pytest.raises(PositionLost, match="restored or replaced"):
        restored.since(position, 1)
    moment.now += 1
    for pk in "xyz":
        put(older, pk)
    with pytest.raises(PositionLost, match="another history"):
        restored.since(position, 1)
    older.close()


def test_a_position_is_lost_when_the_stream_was_enabled_again(orders: Engine, moment: Moment) -> None:
    position = ChangeFeed(orders, "orders").position()
    orders.execute("UpdateTable", {"TableName": "orders", "StreamSpecification": {"StreamEnabled": False}})
    moment.now += 1
    with pytest.raises(PositionLost):
        ChangeFeed(orders, "orders").since(position, 1)
