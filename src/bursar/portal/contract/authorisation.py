"""Who may do what: a client touches payments of its own, for fees that it may charge; some may see every payment."""

from typing import Final

from bursar.payments.clients import EVERY_FEE, Client
from bursar.portal.contract.errors import Forbidden

NOT_REGISTERED: Final = "Client not registered"
NOT_AUTHORIZED: Final = "Client not authorized for fee"
NO_OVERVIEW: Final = "Client not authorized to see every payment"


def registered(client: Client | None) -> Client:
    """``client``, if there is one. Raises ``Forbidden``."""
    if client is None:
        raise Forbidden(NOT_REGISTERED)
    return client


def authorise(client: Client, fee_key: str) -> None:
    """Raises ``Forbidden`` unless ``client`` may charge the fee."""
    if not client.may_charge(fee_key):
        raise Forbidden(NOT_AUTHORIZED)


def authorise_overview(client: Client) -> None:
    """Raises ``Forbidden`` unless ``client`` may see the payments of all clients, which hold personal data.

    That is a client whose fees are ``"*"``: the court's own dashboard, say, not an application that charges one fee.
    """
    if EVERY_FEE not in client.fees:
        raise Forbidden(NO_OVERVIEW)
