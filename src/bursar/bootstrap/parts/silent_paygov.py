"""A client of Pay.gov that never calls it, for processes that only record what a person decided."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bursar.paygov.client import PayGov
from bursar.paygov.config import PayGovConfig
from bursar.paygov.errors import NotSent
from bursar.paygov.protocol import LOOKUPS
from bursar.settings import Settings, list_of

if TYPE_CHECKING:
    from bursar.paygov.protocol import LookupName
    from bursar.paygov.transport import HttpReply


def lookups_of(text: str) -> "tuple[LookupName, ...]":
    """Return the lookups that a setting names, in its order."""
    chosen = list_of(text)
    return tuple(sorted((name for name in LOOKUPS if name in chosen), key=chosen.index))


def paygov_without_network(settings: Settings) -> PayGov:
    """Return a client that never calls Pay.gov. It knows which lookups the sweeper can use."""
    config = PayGovConfig(
        url="http://paygov.invalid/",
        query_url=settings.paygov_query_url,
        payment_url="http://paygov.invalid/",
        lookups=lookups_of(settings.paygov_lookups),
        confirmed_lookups=lookups_of(settings.paygov_lookups_confirmed),
    )
    return PayGov(config, _NoTransport())


class _NoTransport:
    """A transport that refuses every request, for a process that must not call Pay.gov."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> "HttpReply":
        raise NotSent("this process must not call Pay.gov")

    async def close(self) -> None:
        """Do nothing: no connection is open."""
