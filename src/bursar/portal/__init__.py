"""The portal: its use cases (init, process, details, sweep), and the doors to them.

    doors/asgi.py, doors/aws_lambda.py ──► api/application.py ──► api/endpoints.py
        ──► init_payment · process_payment · details ──► completion · resolution ◄── sweep

Start with ``use_cases/portal.py`` (the parts that the use cases share) and ``use_cases/completion_outcomes.py`` (each
way in which a completion can end). Import the doors from ``bursar.portal.doors.asgi`` and
``bursar.portal.doors.aws_lambda``.

A name is imported when it is first used.
"""

from typing import TYPE_CHECKING

from bursar.lazy_names import lazy_names

if TYPE_CHECKING:
    from bursar.portal.contract.errors import PortalError
    from bursar.portal.state.portal import Portal, PortalSettings
    from bursar.portal.upkeep.sweep import SweepReport, sweep
    from bursar.portal.upkeep.sweep_loop import run_sweeper
    from bursar.portal.use_cases.init_payment import init_payment
    from bursar.portal.use_cases.payment_details import details, events
    from bursar.portal.use_cases.process_payment import process_payment

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

__getattr__ = lazy_names(
    __name__,
    {
        "Portal": "state.portal",
        "PortalError": "contract.errors",
        "PortalSettings": "state.portal",
        "SweepReport": "upkeep.sweep",
        "details": "use_cases.payment_details",
        "events": "use_cases.payment_details",
        "init_payment": "use_cases.init_payment",
        "process_payment": "use_cases.process_payment",
        "run_sweeper": "upkeep.sweep_loop",
        "sweep": "upkeep.sweep",
    },
)
