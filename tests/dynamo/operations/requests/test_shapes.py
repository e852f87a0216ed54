"""``fast_accepts`` of every operation's request answers as its plain twins, ``check_type`` and ``violations``."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import DynamoError
from bursar.dynamo.operations.dispatch import OPERATIONS
from tests.support.dynamo.request_strategies import requests

ODD: list[Any] = [None, 0, -1, 2**40, 1.5, True, "", "a", "x" * 300, [], [None], {}, {"a": None}]


def plain_accepts(name: str, request: Any) -> bool:
    """Return whether the type check and the constraints find nothing."""
    shape = OPERATIONS[name].shape
    try:
        shape.check_type(request)
        return not list(shape.violations(request, "request"))
    except DynamoError:
        return False


@given(request=requests, odd=st.sampled_from(ODD), at=st.integers(0, 50), spoil=st.booleans())
def test_a_request_is_accepted_exactly_when_nothing_is_wrong(
    request: tuple[str, dict[str, Any]], odd: Any, at: int, spoil: bool
) -> None:
    name, members = request
    known = list(OPERATIONS[name].shape.members)
    if spoil:
        members = {**members, known[at % len(known)]: odd}
    fast, plain = OPERATIONS[name].shape.fast_accepts(members), plain_accepts(name, members)
    assert not fast or plain, "what is accepted fast has no violations"
    if plain and "arn:" not in str(members):
        assert fast or None in members.values(), "a null member may take the plain way"


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
@pytest.mark.parametrize("request_", [None, [], "a", 1, {}], ids=repr)
def test_what_is_accepted_fast_has_no_violations(operation: str, request_: Any) -> None:
    if OPERATIONS[operation].shape.fast_accepts(request_):
        assert plain_accepts(operation, request_)
