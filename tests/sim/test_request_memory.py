"""A remembered request is read as the first time, and never as a request of the other service."""

import pytest

from bursar.paygov.protocol import GET_DETAILS_BY_AGENCY_ID, NAMESPACE, ONLINE_OPERATIONS, QUERY_OPERATIONS
from bursar.paygov.simulator.core import RequestRefused
from bursar.paygov.simulator.wire import read_request
from bursar.paygov.soap import build_envelope
from sim.request_memory import RequestMemory

TYPE = "text/xml; charset=utf-8"


def lookup(name: str) -> bytes:
    return build_envelope(GET_DETAILS_BY_AGENCY_ID, NAMESPACE, {"tcs_app_id": "A", "agency_tracking_id": name})


def test_a_request_is_read_once_and_is_the_same_then() -> None:
    memory = RequestMemory()
    first = memory.read(ONLINE_OPERATIONS, lookup("a"), TYPE)
    assert memory.read(ONLINE_OPERATIONS, lookup("a"), TYPE) is first
    assert first == read_request(ONLINE_OPERATIONS, lookup("a"), TYPE)
    assert memory.read(ONLINE_OPERATIONS, lookup("b"), TYPE).fields["agency_tracking_id"] == "b"


def test_what_one_service_has_read_is_not_a_request_of_the_other() -> None:
    memory = RequestMemory()
    memory.read(ONLINE_OPERATIONS, lookup("a"), TYPE)
    for _ in range(2):
        with pytest.raises(RequestRefused):
            memory.read(QUERY_OPERATIONS, lookup("a"), TYPE)
