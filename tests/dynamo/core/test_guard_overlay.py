"""A guard sees the state that the request would produce; a refusal leaves nothing of it."""

from collections.abc import Iterator

import pytest

from bursar.dynamo.core.catalogue import Core
from bursar.dynamo.core.guard_overlay import GuardOverlay
from bursar.dynamo.engine.engine import Engine
from bursar.dynamo.storage.table import ItemWrite, Table
from tests.support.dynamo.tables import item, put, table


@pytest.fixture
def core() -> Iterator[Core]:
    engine = Engine.open(":memory:", clock=lambda: 0.0)
    engine.execute("CreateTable", table("users", ("pk:S",)))
    for name in ("a", "c"):
        put(engine, "users", item(pk=name, n=1))
    yield engine._core
    engine.close()


@pytest.fixture
def users(core: Core) -> Table:
    return core.table("users")


def pending(core: Core, users: Table, *writes: ItemWrite) -> GuardOverlay:
    return GuardOverlay(core.storage, core.table, writes, users)


def test_items_are_seen_as_they_will_be(core: Core, users: Table) -> None:
    gone, come = item(pk="a"), item(pk="b", n=2)
    key = users.key_of(gone)[1]
    writes = (
        ItemWrite(users, key, users.rows.get(key), None, None),
        ItemWrite(users, users.key_of(item(pk="b"))[1], None, None, come),
    )
    view = pending(core, users, *writes)
    assert view.get("users", gone) is None
    assert view.get("users", item(pk="b")) == come
    assert view.get("users", item(pk="c")) == item(pk="c", n=1)
    assert list(view.scan("users")) == [come, item(pk="c", n=1)]
    assert users.rows.get(key) is not None


def test_a_refusal_releases_newly_owned_values(core: Core, users: Table) -> None:
    request = pending(core, users)
    view = request
    assert view.own("email", b"x", b"me") is None
    assert view.own("email", b"x", b"you") == b"me"
    request.release_taken()
    assert pending(core, users).owner("email", b"x") is None


def test_a_value_released_in_a_request_can_be_owned_in_it(core: Core, users: Table) -> None:
    first = pending(core, users)
    first.set_owner("email", b"x", b"me")
    assert pending(core, users).owner("email", b"x") is None
    first.write_owners()

    second = pending(core, users)
    view = second
    assert view.owner("email", b"x") == b"me"
    view.release("email", b"x")
    assert view.owner("email", b"x") is None
    assert view.own("email", b"x", b"you") is None
    assert view.owner("email", b"x") == b"you"
    second.release_taken()
    assert pending(core, users).owner("email", b"x") == b"me"
    second.write_owners()
    assert pending(core, users).owner("email", b"x") == b"you"


def test_a_value_released_for_good_is_free(core: Core, users: Table) -> None:
    first = pending(core, users)
    assert first.own("email", b"x", b"me") is None
    first.release("email", b"x")
    first.write_owners()
    assert pending(core, users).owner("email", b"x") is None
