"""Read a request of the portal once: after a restore, it asks Pay.gov about the same ids again and again."""

from collections.abc import Mapping
from typing import Final

from bursar.paygov.protocol import QUERY_OPERATIONS, SoapOperation
from bursar.paygov.simulator.wire import SoapRequest, read_request

REQUESTS_KEPT_MAX: Final = 100_000
"""About 100 MB. A crowd of 500 asks about 33,000 ids in a restored store."""


class RequestMemory:
    """Reads requests as :func:`read_request` does, and remembers them for one run."""

    def __init__(self) -> None:
        self._known: dict[tuple[bool, bytes, str], SoapRequest] = {}

    def read(self, operations: Mapping[str, SoapOperation], body: bytes, content_type: str) -> SoapRequest:
        """Return the request in ``body``. Raises what :func:`read_request` raises."""
        key = (operations is QUERY_OPERATIONS, body, content_type)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= REQUESTS_KEPT_MAX:
                self._known.clear()
            known = self._known[key] = read_request(operations, body, content_type)
        return known
