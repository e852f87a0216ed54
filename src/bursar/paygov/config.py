"""How one agency reaches Pay.gov: endpoints, certificate, namespace, timeout."""

from dataclasses import dataclass, field

from bursar.paygov.protocol import NAMESPACE

TIMEOUT_S = 20.0
"""The default timeout of one call to Pay.gov, from the request for a connection to the last byte of the reply."""


@dataclass(frozen=True, kw_only=True)
class PayGovConfig:
    """Addresses and credentials.

    url: the TCSOnlineService endpoint. query_url: the TCSSingleQueryService endpoint; None if it is not available.
    payment_url: the hosted pages, to which payers are sent. namespace: of the SOAP operations; it holds the version.
    timeout_s: of one call, in seconds. client_cert, client_key: PEM files for mutual TLS. bearer: the token that a
    simulator may require. Raises ValueError for values that cannot work.
    """

    url: str
    payment_url: str
    query_url: str | None = None
    namespace: str = NAMESPACE
    timeout_s: float = TIMEOUT_S
    client_cert: str | None = None
    client_key: str | None = None
    bearer: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.timeout_s <= 0:
            raise ValueError(f"Pay.gov's timeout_s: must be above 0; got {self.timeout_s}")
        if self.client_key is not None and self.client_cert is None:
            raise ValueError("a client key for Pay.gov needs its client certificate")
        if self.bearer is not None and not (self.bearer.isascii() and self.bearer.isprintable()):
            raise ValueError("the bearer token for Pay.gov: must be printable ASCII")
