"""The fast answer to a SELECT of one item equals the plain one, or is left to it."""

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import DynamoError, Engine
from bursar.dynamo.operations.data_plane import fast_single_item_select, statements
from bursar.dynamo.partiql import SelectStatement, parse_statement
from tests.support.dynamo.statements import fill


@pytest.fixture(scope="module")
def shared() -> Iterator[Engine]:
    opened = fill(Engine.open(":memory:"))
    yield opened
    opened.close()


CONSTANTS = st.sampled_from(["'a'", "'b'", "'h'", "'zz'", "''", "1", "3", "77", "?", "true", "<<1>>", "pk"])
EQUALITIES = st.tuples(st.sampled_from(["pk", "sk", "g", "m.x"]), CONSTANTS).map(
    lambda pair: pair[0] + " = " + pair[1]
) | CONSTANTS.map(lambda constant: constant + " = pk")
STATEMENTS = st.builds(
    lambda chosen, table, where: f"SELECT {chosen} FROM {table} WHERE {' AND '.join(where)}",
    st.sampled_from(["*", "t", "m.x, pk", "m.l[1]", "nothing"]),
    st.sampled_from(["orders", "plain", 'orders."by-g"', "absent"]),
    st.lists(EQUALITIES, min_size=1, max_size=3),
)
PARAMETERS = st.lists(st.sampled_from([{"S": "a"}, {"S": "h"}, {"N": "1"}, {"S": ""}, {"N": "3.0"}]), max_size=3)


def outcome(answer: Callable[[], Any]) -> Any:
    """Return the answer as JSON, or the code and the message of its error."""
    try:
        return orjson.loads(orjson.dumps(answer()))
    except DynamoError as error:
        return error.code, error.message


@given(text=STATEMENTS, parameters=PARAMETERS, consistent=st.booleans())
def test_the_fast_answer_equals_the_plain_one(
    shared: Engine, text: str, parameters: list[dict[str, str]], consistent: bool
) -> None:
    request: dict[str, Any] = {"Statement": text, "ConsistentRead": consistent}
    if parameters:
        request["Parameters"] = parameters
    try:
        select = parse_statement(text)
    except DynamoError:
        return
    assert isinstance(select, SelectStatement)
    fast = outcome(lambda: shared.read_committed(lambda core: fast_single_item_select.items(core, select, request)))
    plain = outcome(lambda: shared.read_committed(lambda core: statements.select_page(core, select, request)))
    if fast is not None:
        assert (fast if isinstance(fast, tuple) else {"Items": fast}) == plain


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT * FROM orders WHERE pk = 'a' AND sk = 1", 1),
        ("SELECT m.x FROM orders WHERE 3 = sk AND pk = 'b'", 1),
        ("SELECT * FROM plain WHERE pk = 'absent'", 0),
    ],
)
def test_a_select_of_a_whole_key_is_answered_here(shared: Engine, text: str, found: int) -> None:
    select = parse_statement(text)
    assert isinstance(select, SelectStatement)
    items = shared.read_committed(lambda core: fast_single_item_select.items(core, select, {"Statement": text}))
    assert items is not None
    assert len(items) == found


def test_a_request_with_a_limit_goes_the_plain_way(shared: Engine) -> None:
    text = "SELECT * FROM plain WHERE pk = 'h'"
    select = parse_statement(text)
    assert isinstance(select, SelectStatement)
    request = {"Statement": text, "Limit": 1}
    assert shared.read_committed(lambda core: fast_single_item_select.items(core, select, request)) is None
