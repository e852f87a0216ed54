"""Which endpoints a door serves, given what it has: payments always, the rest where there is something behind it."""

from typing import TYPE_CHECKING

from bursar.portal.api.endpoints import PAYMENT_ENDPOINTS, Endpoint
from bursar.portal.api.openapi import documentation_endpoints
from bursar.portal.api.overview_endpoints import overview_endpoints
from bursar.portal.use_cases.transaction_log import TransactionLog

if TYPE_CHECKING:
    from bursar.portal.metrics.metrics import Metrics


def served_endpoints(
    log: TransactionLog | None = None, metrics: "Metrics | None" = None, *, documented: bool = True
) -> tuple[Endpoint, ...]:
    """The payment endpoints; the dashboard's with a ``log``; /metrics with ``metrics``; /docs and /openapi.json."""
    endpoints = PAYMENT_ENDPOINTS
    if log is not None:
        endpoints += overview_endpoints(log)
    if metrics is not None:
        from bursar.portal.metrics.metrics import metrics_endpoint

        endpoints += (metrics_endpoint(metrics),)
    return endpoints + documentation_endpoints(endpoints) if documented else endpoints
