"""The cost of a write, compared with what the engine bills; and the budget of each kind of write."""

from typing import Any

import pytest

from bursar.rules import Delete, Put, Update
from bursar.rules.transactions.cost import Cost, PricedIndex, cost
from tests.support.rules.samples import ORDERS, changed, line, order
from tests.support.rules.worlds import DEFINITION, TABLE, PlainStore, finish, ruled

BY_STATE = PricedIndex("by-state", ("state", "number"))
BY_MEMO = PricedIndex("by-memo", ("memo",), projected=frozenset({"pk", "sk", "amount"}))


class Billed(PlainStore):
    """A store with two indexes that returns what each transaction consumed of the table itself."""

    def __init__(self) -> None:
        super().__init__()
        self.engine.execute("DeleteTable", {"TableName": TABLE})
        names = ("pk", "sk", "state", "number", "memo")
        by_state = [{"AttributeName": "state", "KeyType": "HASH"}, {"AttributeName": "number", "KeyType": "RANGE"}]
        self.engine.execute(
            "CreateTable",
            {
                **DEFINITION,
                "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in names],
                "GlobalSecondaryIndexes": [
                    {"IndexName": "by-state", "KeySchema": by_state, "Projection": {"ProjectionType": "ALL"}},
                    {
                        "IndexName": "by-memo",
                        "KeySchema": [{"AttributeName": "memo", "KeyType": "HASH"}],
                        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["amount"]},
                    },
                ],
            },
        )
        self.units = 0.0

    async def call(self, operation: str, request: Any) -> dict[str, Any]:
        if operation != "TransactWriteItems":
            return await super().call(operation, request)
        answer = await super().call(operation, {**request, "ReturnConsumedCapacity": "INDEXES"})
        self.units = sum(one["Table"]["CapacityUnits"] for one in answer["ConsumedCapacity"])
        return answer


BIG = "x" * 1500
BEFORE = [order(token="t"), order("b", memo="m", body=BIG), line(shelf="s", slot=1)]
WRITES: dict[str, tuple[list[Any], Cost]] = {
    "put": ([Put(order("c"))], Cost(items=2, sentinels=4, parents=0, indexes=1)),
    "put with a memo": ([Put(order("c", memo="x"))], Cost(2, 4, 0, 2)),
    "put of two KB": ([Put(order("c", body=BIG))], Cost(4, 4, 0, 2)),
    "put of a child": ([Put(line(number=2))], Cost(2, 0, 2, 0)),
    "put of a child of two KB": ([Put(line("b"))], Cost(2, 0, 4, 0)),
    "move": ([Update(BEFORE[0], changed(BEFORE[0], state="paid"))], Cost(2, 0, 0, 2)),
    "move that gives back": ([Update(BEFORE[0], changed(BEFORE[0], state="void"))], Cost(2, 2, 0, 2)),
    "note": ([Update(BEFORE[0], changed(BEFORE[0], note="x"))], Cost(2, 0, 0, 1)),
    "unindexed": ([Update(BEFORE[1], changed(BEFORE[1], note="x"))], Cost(4, 0, 0, 2)),
    "out of an index": ([Update(BEFORE[1], changed(BEFORE[1], memo=None))], Cost(4, 0, 0, 3)),
    "made smaller": ([Update(BEFORE[1], changed(BEFORE[1], body="x"))], Cost(4, 0, 0, 2)),
    "removal": ([Delete(BEFORE[2])], Cost(2, 2, 0, 0)),
}


@pytest.mark.parametrize("name", WRITES)
def test_the_cost_is_what_is_billed(name: str) -> None:
    writes, expected = WRITES[name]
    store = Billed()
    table = ruled(store, ORDERS)
    finish(table.write([Put(one) for one in BEFORE]))
    costs = cost(table.compile(writes), (BY_STATE, BY_MEMO), parents=BEFORE)
    assert costs == expected
    finish(table.write(writes))
    # The engine bills a sentinel given up, and a checked parent, by their stored size.
    assert store.units == costs.total - costs.indexes


def test_a_parent_of_unknown_size_counts_as_small() -> None:
    table = ruled(PlainStore(), ORDERS)
    assert cost(table.compile([Put(line("b"))])).parents == 2
