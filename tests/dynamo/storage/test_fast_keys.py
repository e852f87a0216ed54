"""The fast path for ASCII keys gives what the plain encoding gives, or leaves the key to it."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import DynamoError
from bursar.dynamo.storage.fast_keys import ASCII_KEY_CHARACTERS_MAX
from bursar.dynamo.storage.sqlite_file import MEMORY, Storage
from bursar.dynamo.storage.table import Table

DOCUMENT = {
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
}
TEXTS = st.one_of(
    st.text(max_size=6),
    st.text("ab\x00é", max_size=4),
    st.integers(ASCII_KEY_CHARACTERS_MAX - 1, 2 * ASCII_KEY_CHARACTERS_MAX + 1).map(lambda length: "x" * length),
)
VALUES = st.one_of(
    TEXTS.map(lambda text: {"S": text}),
    st.sampled_from([{}, {"N": "1"}, {"S": None}, {"S": 1}, {"S": "a", "N": "1"}, {"S": "\ud800"}, "a", None]),
)


@pytest.fixture(scope="module")
def table() -> Table:
    return Table(Storage(MEMORY), 1, "things", DOCUMENT, None)


def outcome(encode: Callable[[Any], Any], value: Any) -> Any:
    try:
        return encode(value)
    except DynamoError as error:
        return str(error)


@given(st.dictionaries(st.sampled_from(["pk", "sk", "other"]), VALUES))
def test_a_key_is_encoded_as_without_the_fast_path(table: Table, key: dict[str, Any]) -> None:
    plain = outcome(table._key_of, key)
    assert outcome(table.key_of, key) == plain
    assert outcome(table.encoded_key, key) == (plain[1] if isinstance(plain, tuple) else plain)


@given(
    st.fixed_dictionaries({}, optional={name: TEXTS.map(lambda text: {"S": text}) for name in ("pk", "sk", "other")})
)
def test_an_item_is_encoded_as_without_the_fast_path(table: Table, item: dict[str, Any]) -> None:
    assert outcome(table.key_of_item, item) == outcome(table._key_of_item, item)
