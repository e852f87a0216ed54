"""Check what a client may do: charge its fees, and, for some clients, see every payment."""

from bursar.payments.catalogue.clients import EVERY_FEE, Client
from bursar.portal.contract.error_catalogue import NO_OVERVIEW, NO_REPORTS, NO_SQL, NOT_AUTHORIZED
from bursar.portal.contract.errors import Forbidden


def authorise(client: Client, fee_key: str) -> None:
    """Raise ``Forbidden`` unless ``client`` may charge the fee."""
    if not client.may_charge(fee_key):
        raise Forbidden(NOT_AUTHORIZED)


def authorise_overview(client: Client) -> None:
    """Raise ``Forbidden`` unless ``client`` may see the payments of all clients, which hold personal data.

    Only a client whose fees are ``"*"`` may: the court's dashboard, for example, not an application with one fee.
    """
    if EVERY_FEE not in client.fees:
        raise Forbidden(NO_OVERVIEW)


def authorise_reports(client: Client) -> None:
    """Raise ``Forbidden`` unless ``client`` may run named reports over its own payments."""
    if not client.reports:
        raise Forbidden(NO_REPORTS)


def authorise_sql(client: Client) -> None:
    """Raise ``Forbidden`` unless ``client`` may run SQL statements over its own payments."""
    if not client.sql:
        raise Forbidden(NO_SQL)
