"""How one agency reaches Pay.gov: endpoints, certificate, namespace, patience."""

from dataclasses import dataclass, field

from bursar.paygov.protocol import NAMESPACE

TIMEOUT_S = 20.0
"""How long one call to Pay.gov may take by default, from asking for a connection to the reply's last byte."""


@dataclass(frozen=True, kw_only=True)
class PayGovConfig:
    """Addresses and credentials.

    url: the TCSOnlineService endpoint. query_url: the TCSSingleQueryService endpoint; None: not available.
    payment_url: the hosted pages, where payers are sent. namespace: of the SOAP operations (it carries the
    version). client_cert, client_key: PEM files for mutual TLS. bearer: the token a simulator may ask for.
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
            raise ValueError(f"Pay.gov's timeout_s must be above 0, not {self.timeout_s}")
        if self.client_key is not None and self.client_cert is None:
            raise ValueError("a client key for Pay.gov needs its client certificate")
        if self.bearer is not None and not (self.bearer.isascii() and self.bearer.isprintable()):
            raise ValueError("the bearer token for Pay.gov must be printable ASCII")
