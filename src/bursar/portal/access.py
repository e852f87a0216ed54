"""Who may do what: a client may only touch payments of its own, and only for fees that it may charge."""

from typing import Final

from bursar.payments.clients import Client
from bursar.portal.errors import Forbidden

NOT_REGISTERED: Final = "Client not registered"
NOT_AUTHORIZED: Final = "Client not authorized for fee"


def registered(client: Client | None) -> Client:
    """``client``, if there is one. Raises ``Forbidden``."""
    if client is None:
        raise Forbidden(NOT_REGISTERED)
    return client


def authorise(client: Client, fee_key: str) -> None:
    """Raises ``Forbidden`` unless ``client`` may charge the fee."""
    if not client.may_charge(fee_key):
        raise Forbidden(NOT_AUTHORIZED)
