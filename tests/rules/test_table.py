"""A write under rules on a misbehaving store: what is retried, what never is, and how an unknown outcome is settled."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown, StoreUnreachable
from bursar.rules import Contention, Delete, Put, RuledTable, RuleRefused, StoreBusy, Update
from bursar.rules.table import KEYS_PER_BATCH_MAX, TOKEN_AGE_MAX_S, RetryLimits
from bursar.rules.transactions.cancellations import BUSY_CODES, BUSY_REASONS, UNCLEAR_CODES
from tests.support.rules.samples import ORDERS, changed, item, line, order
from tests.support.rules.worlds import TABLE, PlainStore, finish, ruled


def cancelled(*codes: str) -> DynamoError:
    return DynamoError("TransactionCanceledException", "no", cancellation_reasons=[{"Code": code} for code in codes])


def took_place(error: Exception) -> Exception:
    """Mark an answer that is lost after the write took place."""
    error.add_note("after")
    return error


class MisbehavingStore(PlainStore):
    """A store that answers each TransactWriteItems with the next of ``answers``, then always correctly.

    None is a correct answer.
    """

    def __init__(self, *answers: Exception | None, reads: Sequence[Exception | None] = ()) -> None:
        super().__init__()
        self.answers, self.read_moods = list(answers), list(reads)
        self.now = 0.0
        self.waits: list[tuple[int, float, float]] = []

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        answers = self.answers if operation == "TransactWriteItems" else self.read_moods
        answer = answers.pop(0) if answers else None
        if answer is None:
            return await super().call(operation, request)
        if "after" in getattr(answer, "__notes__", []):
            await super().call(operation, request)
        else:
            self.requests.append((operation, request))
        raise answer

    @property
    def tokens(self) -> list[str]:
        return [request["ClientRequestToken"] for name, request in self.requests if name == "TransactWriteItems"]


class TimedTable(RuledTable):
    """A table that records its waits and moves the clock by their bound instead of sleeping."""

    store: MisbehavingStore

    async def wait(self, tries: int, first_s: float, most_s: float) -> None:
        self.store.waits.append((tries, first_s, most_s))
        self.store.now += min(most_s, first_s * 2 ** (tries - 1))


def table(store: MisbehavingStore, **limits: Any) -> TimedTable:
    return TimedTable(
        store, TABLE, ORDERS, randomness=random.Random(7), clock=lambda: store.now, retry_limits=RetryLimits(**limits)
    )


BUSY = [cancelled("TransactionConflict", "None", "None"), cancelled("None", "ThrottlingError", "TransactionConflict")]
BUSY += [DynamoError(code, "busy") for code in sorted(BUSY_CODES)]


@pytest.mark.parametrize("answer", BUSY, ids=str)
def test_conflicts_and_throttling_are_retried_with_the_same_token(answer: DynamoError) -> None:
    store = MisbehavingStore(answer, answer)
    finish(table(store).write([Put(order())]))
    assert store.items() == {("a", "order"): order()}
    assert len(store.tokens) == 3
    assert len(set(store.tokens)) == 1
    assert [tries for tries, _, _ in store.waits] == [1, 2]


def test_retries_are_bounded() -> None:
    store = MisbehavingStore(*[cancelled("TransactionConflict")] * 50)
    with pytest.raises(StoreBusy, match="rejected 4 times, the last time with: TransactionCanceledException"):
        finish(table(store, busy_tries_max=4).write([Put(order())]))
    assert len(store.tokens) == 4


def test_every_busy_reason_counts_as_busy() -> None:
    assert {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"} == BUSY_REASONS


def test_a_refusal_is_never_retried() -> None:
    store = MisbehavingStore()
    finish(table(store).write([Put(order())], token="first"))
    with pytest.raises(RuleRefused) as refused:
        finish(table(store).write([Put(order("b", number="n-a"))], token="second"))
    assert store.tokens == ["first", "second"]
    assert refused.value.rule == "number"
    assert refused.value.owner == {"pk": {"S": "a"}, "sk": {"S": "order"}}
    assert "owned by" in refused.value.message


def test_contention_is_never_retried_and_carries_the_item_as_it_is() -> None:
    store = MisbehavingStore()
    finish(table(store).write([Put(order())], token="1"))
    finish(table(store).write([Update(order(), changed(order(), memo="x"))], token="2"))
    with pytest.raises(Contention) as moved:
        finish(table(store).write([Update(order(), changed(order(), memo="y"))], token="3"))
    assert moved.value.actual == order(memo="x")
    assert len(store.tokens) == 3


def test_an_update_of_an_absent_item_is_contention() -> None:
    store = MisbehavingStore()
    with pytest.raises(Contention, match="is absent") as moved:
        finish(table(store).write([Update(order(), changed(order(), memo="y"))]))
    assert moved.value.actual is None


def test_a_refusal_outranks_contention() -> None:
    store = MisbehavingStore()
    finish(table(store).write([Put(order()), Put(order("b"))], token="1"))
    finish(table(store).write([Update(order(), changed(order(), memo="x"))], token="2"))
    late = changed(order(), memo="y")
    with pytest.raises(RuleRefused, match="Rule number"):
        finish(table(store).write([Update(order(), late), Put(order("c", number="n-b"))], token="3"))


def test_a_parent_that_is_absent_or_disagrees_is_named() -> None:
    store = MisbehavingStore()
    with pytest.raises(RuleRefused, match=r"Rule currency .*: its order does not exist"):
        finish(table(store).write([Put(line())], token="1"))
    finish(table(store).write([Put(order())], token="2"))
    with pytest.raises(RuleRefused, match="currency is not its order's"):
        finish(table(store).write([Put(line(currency="EUR"))], token="3"))


def test_the_old_item_is_read_from_a_store_that_does_not_return_it() -> None:
    store = MisbehavingStore()
    finish(table(store).write([Put(order())], token="1"))
    store.answers = [cancelled("None", "ConditionalCheckFailed", "None")]
    with pytest.raises(RuleRefused, match=r"Rule number .* owned by"):
        finish(table(store).write([Put(order("b", number="n-a"))], token="2"))


@pytest.mark.parametrize("code", ["ValidationException", "ResourceNotFoundException", "AccessDeniedException"])
def test_other_errors_pass_through(code: str) -> None:
    with pytest.raises(DynamoError, match=code):
        finish(table(MisbehavingStore(DynamoError(code, "no"))).write([Put(order())]))


def test_other_cancellations_pass_through() -> None:
    error = cancelled("ValidationError", "TransactionConflict", "None")
    with pytest.raises(DynamoError) as raised:
        finish(table(MisbehavingStore(error)).write([Put(order())]))
    assert raised.value is error


def test_a_request_that_was_never_sent_passes_through() -> None:
    with pytest.raises(StoreUnreachable):
        finish(table(MisbehavingStore(StoreUnreachable("refused"))).write([Put(order())]))


# --- unknown outcomes ------------------------------------------------------------------------------------------------

LOST = [StoreOutcomeUnknown("reset"), *(DynamoError(code, "500") for code in sorted(UNCLEAR_CODES))]


@pytest.mark.parametrize("lost", LOST, ids=str)
@pytest.mark.parametrize("took", [True, False], ids=["after", "before"])
def test_a_lost_answer_is_settled_by_the_same_token(lost: Exception, took: bool) -> None:
    answer = type(lost)(*lost.args)
    store = MisbehavingStore(took_place(answer) if took else answer)
    finish(table(store).write([Put(order())]))
    assert store.items() == {("a", "order"): order()}
    assert len(store.tokens) == 2
    assert len(set(store.tokens)) == 1


def test_a_lost_answer_and_then_a_refusal_is_a_refusal() -> None:
    store = MisbehavingStore()
    finish(table(store).write([Put(order())], token="1"))
    store.answers = [StoreOutcomeUnknown("reset")]
    with pytest.raises(RuleRefused, match="Rule number"):
        finish(table(store).write([Put(order("b", number="n-a"))], token="2"))


def test_a_store_that_forgets_its_tokens_is_settled_by_what_the_failed_condition_returns() -> None:
    """Repeat a put that fails on itself: the item at its key is the one that was to be written."""
    store = MisbehavingStore(took_place(StoreOutcomeUnknown("reset")), cancelled(*["ConditionalCheckFailed"] * 3))
    finish(table(store).write([Put(order())]))
    assert store.items() == {("a", "order"): order()}


LOST_AFTER = took_place(StoreOutcomeUnknown("reset"))


@pytest.mark.parametrize(
    "write",
    [
        Put(order()),
        Update(order(), changed(order(), state="paid", memo=None)),
        Delete(item("a", "line-1", "line")),
    ],
    ids=["put", "update", "delete"],
)
def test_when_the_token_settles_nothing_the_items_are_read(write: Any) -> None:
    store = MisbehavingStore()
    if not isinstance(write, Put):
        before = write.old if isinstance(write, Delete) else order()
        store.engine.execute("PutItem", {"TableName": TABLE, "Item": {**before, "low": {"N": "1"}, "high": {"N": "1"}}})
    store.answers = [took_place(StoreOutcomeUnknown("reset")), *[StoreOutcomeUnknown("reset")] * 5]
    finish(table(store).write([write]))
    assert len(store.tokens) == RetryLimits().unclear_tries_max


def test_when_nothing_shows_that_it_took_place_it_stays_unknown() -> None:
    store = MisbehavingStore(*[StoreOutcomeUnknown("reset")] * 20)
    with pytest.raises(StoreOutcomeUnknown, match="sent 6 times without a clear answer: reset"):
        finish(table(store).write([Put(order())]))


def test_when_the_items_cannot_be_read_it_stays_unknown() -> None:
    store = MisbehavingStore(
        *[StoreOutcomeUnknown("reset")] * 20, reads=[DynamoError("InternalServerError", "no")] * 50
    )
    with pytest.raises(StoreOutcomeUnknown, match="the outcome could not be read"):
        finish(table(store).write([Put(order())]))


def test_a_token_that_may_be_forgotten_is_not_sent_again() -> None:
    """Wait past ten minutes: the same token would be a second write, so the table only reads."""
    store = MisbehavingStore(took_place(StoreOutcomeUnknown("reset")))
    ruled_table = table(store, unclear_wait_first_s=TOKEN_AGE_MAX_S, unclear_wait_max_s=TOKEN_AGE_MAX_S / 2)
    store.answers.append(StoreOutcomeUnknown("never sent"))
    ruled_table_began = store.now

    async def late(tries: int, first_s: float, most_s: float) -> None:
        store.now = ruled_table_began + TOKEN_AGE_MAX_S + 1

    ruled_table.wait = late
    finish(ruled_table.write([Put(order())]))
    assert len(store.tokens) == 1


def test_busy_after_a_lost_answer_is_unknown() -> None:
    store = MisbehavingStore(StoreOutcomeUnknown("reset"), *[DynamoError("ThrottlingException", "slow")] * 20)
    with pytest.raises(StoreOutcomeUnknown, match="no answer, then a retry was rejected: ThrottlingException"):
        finish(table(store).write([Put(order())]))


# --- lookups ---------------------------------------------------------------------------------------------------------


def test_a_sentinel_is_a_strongly_consistent_lookup() -> None:
    store = PlainStore()
    ruled_table = ruled(store, ORDERS)
    finish(ruled_table.write([Put(order(token="t")), Put(line(shelf="s", slot=1))]))
    assert finish(ruled_table.owner_of("token", "t")) == {"pk": {"S": "a"}, "sk": {"S": "order"}}
    assert finish(ruled_table.owner_of("place", "s", {"N": "1.0"})) == {"pk": {"S": "a"}, "sk": {"S": "line-1"}}
    assert finish(ruled_table.owner_of("token", "u")) is None
    assert all(request["ConsistentRead"] for name, request in store.requests if name == "GetItem")


def test_only_unique_rules_have_owners() -> None:
    ruled_table = ruled(PlainStore(), ORDERS)
    with pytest.raises(ValueError, match="rule 'moves': must be unique or unique while; got transitions"):
        finish(ruled_table.owner_of("moves", "x"))
    with pytest.raises(ValueError, match="values of rule 'place': must be one for each of shelf, slot; got 1"):
        finish(ruled_table.owner_of("place", "x"))


def test_waits_are_jittered_within_a_bound_that_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    ruled_table = ruled(PlainStore(), ORDERS)
    for tries in range(1, 9):
        finish(ruled_table.wait(tries, 0.01, 0.1))
    bounds = [0.01, 0.02, 0.04, 0.08, 0.1, 0.1, 0.1, 0.1]
    assert all(0 <= seconds <= bound for seconds, bound in zip(slept, bounds, strict=True))
    assert len(set(slept)) == len(slept)


class PagingStore(PlainStore):
    """A store whose queries return one item a page, as DynamoDB does beyond 1 MB."""

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return await super().call(operation, {**request, "Limit": 1} if operation == "Query" else request)


@pytest.mark.parametrize("begins", ["", "line"])
def test_a_partition_is_read_to_its_last_page(begins: str) -> None:
    store = PagingStore()
    ruled_table = ruled(store, ORDERS)
    finish(ruled_table.write([Put(order()), *(Put(line(number=number)) for number in range(1, 4))]))
    found = finish(ruled_table.partition({"S": "a"}, begins))
    whole = [each for (_, sort), each in sorted(store.items().items()) if sort.startswith(begins)]
    assert found == whole
    assert len(found) == (4 if not begins else 3)


# --- several items ---------------------------------------------------------------------------------------------------


class SparingStore(MisbehavingStore):
    """A store that answers at most ``most`` keys of a BatchGetItem, and leaves out the others."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if operation != "BatchGetItem":
            return await super().call(operation, request)
        keys = request["RequestItems"][TABLE]["Keys"]
        left = {"UnprocessedKeys": {TABLE: {"Keys": keys[self.most :]}} if keys[self.most :] else {}}
        if self.most == 0:
            return {"Responses": {}, **left}
        answer = await super().call(operation, {"RequestItems": {TABLE: {"Keys": keys[: self.most]}}})
        return {**answer, **left}


def orders(count: int) -> list[dict[str, Any]]:
    return [{"pk": {"S": f"o{number}"}, "sk": {"S": "order"}} for number in range(count)]


@pytest.mark.parametrize("swaps", [False, True])
def test_several_items_are_read_a_hundred_at_once_and_those_that_are_not_there_are_left_out(swaps: bool) -> None:
    store = SparingStore(100)
    keys = orders(2 * KEYS_PER_BATCH_MAX + 1)
    finish(ruled(store, ORDERS).write([Put(order(f"o{number}", number=f"n-{number}")) for number in (0, 100, 200)]))
    store.requests.clear()
    reading = ruled(store, ORDERS, swaps=swaps)
    found = finish(reading.get_several(keys))
    assert sorted(each["pk"]["S"] for each in found) == ["o0", "o100", "o200"]
    assert [operation for operation, _ in store.requests] == ([] if swaps else ["BatchGetItem"] * 3)
    assert finish(reading.get_several([])) == []


def test_items_that_the_store_leaves_out_are_asked_for_again() -> None:
    store = SparingStore(2)
    keys = orders(5)
    finish(table(store).write([Put(order(f"o{number}", number=f"n-{number}")) for number in range(5)]))
    assert len(finish(table(store).get_several(keys))) == 5
    assert [tries for tries, _, _ in store.waits] == [1, 2]
    store.most = 0
    with pytest.raises(StoreBusy, match="5 of 5 items were left out 4 times"):
        finish(table(store, busy_tries_max=4).get_several(keys))
