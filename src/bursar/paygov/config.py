"""How one agency reaches Pay.gov: endpoints, certificate, namespace, timeout, lookups."""

from dataclasses import dataclass, field

from bursar.paygov.protocol import LOOKUPS, NAMESPACE, LookupName

TIMEOUT_S = 20.0
"""The default timeout of one call to Pay.gov, from the request for a connection to the last byte of the reply."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A way to find a collection by its agency tracking id.

    A collection that it finds is always accepted. ``confirmed``: its answer "Pay.gov has none" is accepted too, because
    the agency has verified it (`bursar paygov probe`). A wrong "none" would fail an attempt that was charged.
    """

    name: LookupName
    confirmed: bool


@dataclass(frozen=True, kw_only=True)
class PayGovConfig:
    """Addresses and credentials.

    url: the TCSOnlineService endpoint. query_url: the TCSSingleQueryService endpoint; None if it is not available.
    payment_url: the hosted pages, to which payers are sent. namespace: of the SOAP operations; it holds the version.
    timeout_s: of one call, in seconds. client_cert, client_key: PEM files for mutual TLS. bearer: a token, which a
    simulator may require.

    lookups: the lookups to ask, in this order; ``query`` is left out while query_url is None. confirmed_lookups: those
    whose answer "none" is accepted as true. By default getDetails is not: nothing shows that version 3_3 finds every
    collection by its agency tracking id. Naming the query service's URL states that the agency has it.

    Raises ValueError for invalid values.
    """

    url: str
    payment_url: str
    query_url: str | None = None
    namespace: str = NAMESPACE
    timeout_s: float = TIMEOUT_S
    client_cert: str | None = None
    client_key: str | None = None
    bearer: str | None = field(default=None, repr=False)
    lookups: tuple[LookupName, ...] = LOOKUPS
    confirmed_lookups: tuple[LookupName, ...] = ("query",)

    def __post_init__(self) -> None:
        if self.timeout_s <= 0:
            raise ValueError(f"Pay.gov's timeout_s: must be above 0; got {self.timeout_s}")
        if self.client_key is not None and self.client_cert is None:
            raise ValueError("a client key for Pay.gov needs its client certificate")
        if self.bearer is not None and not (self.bearer.isascii() and self.bearer.isprintable()):
            raise ValueError("the bearer token for Pay.gov: must be printable ASCII")
        unknown = {*self.lookups, *self.confirmed_lookups} - set(LOOKUPS)
        if unknown or len(set(self.lookups)) != len(self.lookups):
            raise ValueError(f"Pay.gov's lookups: must be of {', '.join(LOOKUPS)}, each once; got {self.lookups}")

    @property
    def available_lookups(self) -> tuple[Lookup, ...]:
        """The lookups to ask, in order."""
        return tuple(
            Lookup(name, name in self.confirmed_lookups)
            for name in self.lookups
            if name != "query" or self.query_url is not None
        )
