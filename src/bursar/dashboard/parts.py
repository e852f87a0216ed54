"""The parts of the dashboard, which the composition root passes in."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bursar.clock import Clock
from bursar.dashboard.sign_in.accounts import Accounts, NoAccounts
from bursar.dashboard.sign_in.provider.provider import IdentityProvider
from bursar.dashboard.state_file import StateFile
from bursar.dashboard.upkeep_notes import UpkeepNotes
from bursar.payments.catalogue.clients import Client, Clients
from bursar.payments.catalogue.fees import FeeCatalogue
from bursar.payments.ledger.ledger import Ledger
from bursar.reports.lake.upkeep import UpkeepFile
from bursar.reports.port import PaymentReports

if TYPE_CHECKING:
    from bursar.portal.state.portal import Portal
    from bursar.portal.webhooks.dispatcher import Dispatcher


@dataclass(frozen=True, kw_only=True)
class SandboxParts:
    """The parts of the sandbox: it acts as the application ``client``. The payer's browser must reach both URLs."""

    client: Client
    portal_url: str
    payment_url: str


@dataclass(frozen=True, kw_only=True)
class DashboardParts:
    """The parts of the pages.

    ``record``: a portal that finds what needs attention and never asks Pay.gov. ``portal``: runs the actions of
    operators; None for pages that only read. ``own_url``: the address under which people reach the pages; None if it is
    loopback only. ``sandbox``: the page that makes payments, under `bursar up`. ``provider``: a second way to sign in,
    or the only one if there are no accounts. ``webhooks``: their deliveries. ``upkeep``: the notes of audits and
    backups. ``lake``: the record of how far the lake is complete. ``workers``: the processes that serve the portal.
    """

    ledger: Ledger
    reports: PaymentReports
    fees: FeeCatalogue
    clients: Clients
    accounts: Accounts
    state: StateFile
    record: "Portal"
    clock: Clock
    environment: str = "unknown"
    own_url: str | None = None
    portal: "Portal | None" = None
    sandbox: SandboxParts | None = None
    provider: IdentityProvider | None = None
    webhooks: "Dispatcher | None" = None
    upkeep: UpkeepNotes | None = None
    lake: UpkeepFile | None = None
    workers: int = 1

    @property
    def is_secure(self) -> bool:
        """Whether people reach the pages over TLS."""
        return self.own_url is not None and urlsplit(self.own_url).scheme == "https"

    @property
    def webhook_actions(self) -> "Dispatcher | None":
        """The webhooks on which operators may act; None for pages that only read."""
        return None if self.portal is None else self.webhooks

    @property
    def has_passwords(self) -> bool:
        """Whether people may sign in with a password of this server."""
        return self.accounts.needs_password and not isinstance(self.accounts, NoAccounts)
