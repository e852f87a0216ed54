"""Web pages over the portal and its reports. Today: "Try a payment", for a developer's own machine."""

from bursar.dashboard.app import pages_app
from bursar.dashboard.try_payment import TryPayment

__all__ = ["TryPayment", "pages_app"]
