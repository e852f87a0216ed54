"""Random normalised attribute values and items, shared by the tests of values and expressions."""

from base64 import b64encode
from typing import Any

from hypothesis import strategies as st

names = st.sampled_from(["a", "b", "c", "d", "é", "n"])
strings = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
binaries = st.binary(max_size=5).map(lambda raw: b64encode(raw).decode())
numbers = st.integers(-1000, 1000).map(str)


def _set_of(members: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(members, min_size=1, max_size=4, unique=True)


scalars: st.SearchStrategy[dict[str, Any]] = st.one_of(
    strings.map(lambda content: {"S": content}),
    numbers.map(lambda content: {"N": content}),
    binaries.map(lambda content: {"B": content}),
    st.booleans().map(lambda content: {"BOOL": content}),
    st.just({"NULL": True}),
    _set_of(strings).map(lambda content: {"SS": content}),
    _set_of(numbers).map(lambda content: {"NS": content}),
    _set_of(binaries).map(lambda content: {"BS": content}),
)

values: st.SearchStrategy[dict[str, Any]] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda content: {"L": content})
        | st.dictionaries(names, inner, max_size=3).map(lambda content: {"M": content})
    ),
    max_leaves=6,
)

items: st.SearchStrategy[dict[str, Any]] = st.dictionaries(names, values, max_size=5)
