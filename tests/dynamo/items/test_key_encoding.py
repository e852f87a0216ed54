"""Keys as bytes: they sort as DynamoDB sorts, delimit themselves, and prefixes become ranges."""

from base64 import b64encode
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo.items import key_encoding as keys
from bursar.dynamo.items.attribute_values import AttributeValue

texts = st.text(st.characters(exclude_categories=["Cs"]) | st.just("\x00"), max_size=6)
binaries = st.binary(max_size=6) | st.lists(st.sampled_from([0, 1, 254, 255]), max_size=5).map(bytes)
integers = st.integers(-(10**12), 10**12)


def string(text: str) -> AttributeValue:
    return {"S": text}


def binary(raw: bytes) -> AttributeValue:
    return {"B": b64encode(raw).decode()}


def number(value: int) -> AttributeValue:
    return {"N": str(value)}


@given(texts, texts)
def test_strings_sort_by_their_utf8_bytes(left: str, right: str) -> None:
    order = keys.encode_key_value(string(left)) < keys.encode_key_value(string(right))
    assert order == (left.encode() < right.encode())


@given(binaries, binaries)
def test_binaries_sort_by_unsigned_bytes(left: bytes, right: bytes) -> None:
    assert (keys.encode_key_value(binary(left)) < keys.encode_key_value(binary(right))) == (left < right)


@given(integers, integers)
def test_numbers_sort_by_value(left: int, right: int) -> None:
    order = keys.encode_key_value(number(left)) < keys.encode_key_value(number(right))
    assert order == (Decimal(left) < Decimal(right))


@given(texts, integers, texts, integers)
def test_a_composed_key_sorts_by_partition_then_by_sort_key(pk: str, sk: int, other_pk: str, other_sk: int) -> None:
    left = keys.compose(string(pk), number(sk))
    right = keys.compose(string(other_pk), number(other_sk))
    assert (left < right) == ((pk.encode(), sk) < (other_pk.encode(), other_sk))
    assert (left == right) == ((pk, sk) == (other_pk, other_sk))


@given(binaries, texts, binaries, texts)
def test_a_key_of_many_attributes_sorts_from_the_left(a: bytes, b: str, c: bytes, d: str) -> None:
    left, right = keys.compose_all([binary(a), string(b)]), keys.compose_all([binary(c), string(d)])
    assert (left < right) == ((a, b.encode()) < (c, d.encode()))


@given(texts, texts)
def test_no_encoded_value_begins_another(left: str, right: str) -> None:
    encoded, other = keys.encode_key_value(string(left)), keys.encode_key_value(string(right))
    assert left == right or not other.startswith(encoded)


def test_a_table_without_sort_key_has_the_partition_key_alone() -> None:
    assert keys.compose(string("a")) == keys.encode_key_value(string("a"))


@given(binaries, binaries)
def test_a_prefix_range_contains_exactly_the_keys_with_the_prefix(value: bytes, prefix: bytes) -> None:
    lower, upper = keys.prefix_range(keys.encode_key_prefix(binary(prefix)))
    encoded = keys.encode_key_value(binary(value))
    assert (lower <= encoded and (upper is None or encoded < upper)) == value.startswith(prefix)


def test_nothing_comes_after_all_ones() -> None:
    assert keys.after_prefix(b"\xff\xff") is None
    assert keys.after_prefix(b"") is None
    assert keys.after_prefix(b"a\xff") == b"b"
