"""The portal: its use cases (init, process, details, sweep), and the doors to them.

    http.py, lambda_door.py ──► application.py ──► endpoints.py ──► init_payment · process_payment · details
                                                                          └──► completion · resolution ◄── sweep

Start at ``portal.py`` (what the use cases share) and ``outcomes.py`` (each way in which a completion can go wrong).
Doors are imported from their own modules: ``bursar.portal.http.portal_app``, ``bursar.portal.lambda_door``.
"""

from bursar.portal.details import details, events
from bursar.portal.errors import PortalError
from bursar.portal.init_payment import init_payment
from bursar.portal.portal import Portal, PortalSettings
from bursar.portal.process_payment import process_payment
from bursar.portal.sweep import SweepReport, sweep
from bursar.portal.sweeper import run_sweeper

__all__ = [
    "Portal",
    "PortalError",
    "PortalSettings",
    "SweepReport",
    "details",
    "events",
    "init_payment",
    "process_payment",
    "run_sweeper",
    "sweep",
]
