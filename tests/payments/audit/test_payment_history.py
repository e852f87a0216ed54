"""The history audit that the commands run: chains and roots together, and the root of one day."""

from collections.abc import Awaitable, Callable
from datetime import date

import pytest

from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.payments import Attempt, Ledger
from bursar.payments.audit.payment_history import YESTERDAY, PaymentHistory
from bursar.payments.ledger.table import TABLE_NAME
from tests.support.payments.stage import REFERENCE, Listening, Wall
from tests.support.payments.tampering import items_of, put

Start = Callable[..., Awaitable[Attempt]]
DAY = date(2026, 11, 22)
DAY_S = 24 * 3600


@pytest.fixture
def engine(store: Listening) -> AsyncEngine:
    assert isinstance(store.behind, AsyncEngine)
    return store.behind


@pytest.fixture
async def history(engine: AsyncEngine, ledger: Ledger, start: Start, wall: Wall) -> PaymentHistory:
    await start()
    wall.pass_s(DAY_S)
    return PaymentHistory(engine, TABLE_NAME, ledger.daily_roots, None, clock=wall)


async def test_the_root_of_yesterday_is_compared_with_the_stored_one(ledger: Ledger, history: PaymentHistory) -> None:
    absent = await history.root()
    assert (absent["date"], absent["events"], absent["stored"]) == (DAY.isoformat(), 1, "absent")
    sealed = await ledger.daily_roots.seal(DAY, None)
    assert await history.root(YESTERDAY) == {**absent, "root": sealed.root, "stored": "equal"}
    assert (await history.root(DAY.isoformat()))["stored"] == "equal"


async def test_a_changed_event_gives_another_root_and_a_finding(
    ledger: Ledger, history: PaymentHistory, engine: AsyncEngine
) -> None:
    await ledger.daily_roots.seal(DAY, None)
    assert (await history.check()).count == 0
    [event] = [item for item in await items_of(engine, "dawson", REFERENCE) if item["kind"] == {"S": "event"}]
    await put(engine, event | {"detail": {"S": "{}"}})
    assert (await history.root())["stored"] == "another one"
    assert (await history.check()).count > 0


async def test_a_text_that_is_no_day_is_refused(history: PaymentHistory) -> None:
    with pytest.raises(ValueError, match=r"^--root: must be a date such as 2026-11-28; got soon$"):
        await history.root("soon")
