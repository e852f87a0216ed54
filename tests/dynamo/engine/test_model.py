"""Any sequence of writes changes the engine as it changes a dictionary: items, indexes, order, counts.

The model is a dictionary and a sort. The engine must agree with it after every step, on a table with a sparse index.
"""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bursar.dynamo import DynamoError, Engine
from bursar.dynamo.items.attribute_values import item_size
from tests.support.dynamo.tables import item, table
from tests.support.hypothesis_profiles import examples

PARTITIONS = st.sampled_from(["a", "a\x00", "ab", "é"])
SORTS = st.sampled_from(["-12.5", "-3", "0", "0.001", "7", "70", "1E+20"])
STATES = st.sampled_from(["new", "old"])
RANKS = st.sampled_from([None, "1", "2", "10", "-1"])
CANONICAL = {"1E+20": "100000000000000000000"}

Key = tuple[str, str]


class Model(RuleBasedStateMachine):
    """The engine and the dictionary side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine.open(":memory:")
        self.engine.execute("CreateTable", table(key=("pk:S", "sk:N"), global_indexes={"by-state": ("state:S", "r:N")}))
        self.items: dict[Key, dict[str, Any]] = {}

    def teardown(self) -> None:
        self.engine.close()

    def made(self, pk: str, sk: str, state: str, rank: str | None) -> dict[str, Any]:
        number = CANONICAL.get(sk, sk)
        return item(pk=pk, sk={"N": number}, state=state, **({} if rank is None else {"r": {"N": rank}}))

    @rule(pk=PARTITIONS, sk=SORTS, state=STATES, rank=RANKS)
    def put(self, pk: str, sk: str, state: str, rank: str | None) -> None:
        sent = self.made(pk, sk, state, rank) | {"sk": {"N": sk}}
        self.engine.execute("PutItem", {"TableName": "orders", "Item": sent})
        self.items[pk, CANONICAL.get(sk, sk)] = self.made(pk, sk, state, rank)

    @rule(pk=PARTITIONS, sk=SORTS)
    def delete(self, pk: str, sk: str) -> None:
        response = self.engine.execute(
            "DeleteItem",
            {"TableName": "orders", "Key": item(pk=pk, sk={"N": sk}), "ReturnValues": "ALL_OLD"},
        )
        assert response.get("Attributes") == self.items.pop((pk, CANONICAL.get(sk, sk)), None)

    @rule(pk=PARTITIONS, sk=SORTS, rank=RANKS)
    def rerank(self, pk: str, sk: str, rank: str | None) -> None:
        """Set or remove the index's sort key of an existing item."""
        request: dict[str, Any] = {
            "TableName": "orders",
            "Key": item(pk=pk, sk={"N": sk}),
            "UpdateExpression": "REMOVE r" if rank is None else "SET r = :r",
            "ConditionExpression": "attribute_exists(pk)",
        }
        if rank is not None:
            request["ExpressionAttributeValues"] = {":r": {"N": rank}}
        known = self.items.get((pk, CANONICAL.get(sk, sk)))
        outcome = self.outcome("UpdateItem", request)
        if known is None:
            assert isinstance(outcome, DynamoError)
            assert outcome.code == "ConditionalCheckFailedException"
            return
        assert outcome == {}
        known.pop("r", None)
        if rank is not None:
            known["r"] = {"N": rank}

    @rule(pk=PARTITIONS, sk=SORTS, expression=st.sampled_from(["REMOVE r", "REMOVE r, m.n", "DELETE ss :ss"]))
    def remove(self, pk: str, sk: str, expression: str) -> None:
        """Remove attributes: nothing is created where no item is; of an existing item, only whole attributes go."""
        known = self.items.get((pk, CANONICAL.get(sk, sk)))
        request: dict[str, Any] = {
            "TableName": "orders",
            "Key": item(pk=pk, sk={"N": sk}),
            "UpdateExpression": expression,
            "ReturnValues": "ALL_NEW",
        }
        if ":ss" in expression:
            request["ExpressionAttributeValues"] = {":ss": {"SS": ["a"]}}
        outcome = self.outcome("UpdateItem", request)
        if known is None:
            assert outcome == {}
        elif "m.n" in expression:
            assert isinstance(outcome, DynamoError)
        else:
            if expression == "REMOVE r":
                known.pop("r", None)
            assert outcome == {"Attributes": known}

    @rule(pks=st.lists(PARTITIONS, min_size=2, max_size=3, unique=True), sk=SORTS, exists=st.booleans())
    def transact(self, pks: list[str], sk: str, exists: bool) -> None:
        """Replace all of the items, if each exists (or each does not)."""
        condition = "attribute_exists(pk)" if exists else "attribute_not_exists(pk)"
        actions = [
            {
                "Put": {
                    "TableName": "orders",
                    "Item": self.made(pk, sk, "moved", "5"),
                    "ConditionExpression": condition,
                }
            }
            for pk in pks
        ]
        number = CANONICAL.get(sk, sk)
        holds = [((pk, number) in self.items) is exists for pk in pks]
        outcome = self.outcome("TransactWriteItems", {"TransactItems": actions})
        if not all(holds):
            assert isinstance(outcome, DynamoError)
            assert outcome.cancellation_reasons is not None
            assert [reason["Code"] == "None" for reason in outcome.cancellation_reasons] == holds
            return
        assert outcome == {}
        for pk in pks:
            self.items[pk, number] = self.made(pk, sk, "moved", "5")

    @rule(pk=PARTITIONS, forward=st.booleans(), limit=st.integers(1, 4))
    def query_in_pages(self, pk: str, forward: bool, limit: int) -> None:
        expected = sorted((one for (p, _), one in self.items.items() if p == pk), key=lambda one: float(one["sk"]["N"]))
        request = {
            "TableName": "orders",
            "KeyConditionExpression": "pk = :p",
            "ExpressionAttributeValues": item(**{":p": pk}),
            "ScanIndexForward": forward,
            "Limit": limit,
        }
        assert self.pages(request) == (expected if forward else expected[::-1])

    @rule(state=st.sampled_from(["new", "old", "moved"]), forward=st.booleans())
    def query_the_index_in_pages(self, state: str, forward: bool) -> None:
        expected = [one for one in self.items.values() if one["state"]["S"] == state and "r" in one]
        request = {
            "TableName": "orders",
            "IndexName": "by-state",
            "KeyConditionExpression": "#s = :s",
            "ExpressionAttributeNames": {"#s": "state"},
            "ExpressionAttributeValues": item(**{":s": state}),
            "ScanIndexForward": forward,
            "Limit": 2,
        }
        found = self.pages(request)
        ranks = [float(one["r"]["N"]) for one in found]
        assert ranks == sorted(ranks, reverse=not forward)
        assert sorted(map(str, found)) == sorted(map(str, expected))

    def outcome(self, operation: str, request: dict[str, Any]) -> dict[str, Any] | DynamoError:
        try:
            return self.engine.execute(operation, request)
        except DynamoError as error:
            return error

    def pages(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        start: dict[str, Any] = {}
        while True:
            page = self.engine.execute("Query", {**request, **start})
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                return found
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    @invariant()
    def the_counts_are_right(self) -> None:
        described = self.engine.execute("DescribeTable", {"TableName": "orders"})["Table"]
        index = described["GlobalSecondaryIndexes"][0]
        indexed = [one for one in self.items.values() if "r" in one]
        assert (described["ItemCount"], described["TableSizeBytes"]) == (
            len(self.items),
            sum(map(item_size, self.items.values())),
        )
        assert (index["ItemCount"], index["IndexSizeBytes"]) == (len(indexed), sum(map(item_size, indexed)))


Model.TestCase.settings = examples(40, stateful_step_count=25)
TestModel = Model.TestCase
