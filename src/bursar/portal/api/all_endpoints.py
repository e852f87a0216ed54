"""List the endpoints of a door: the payment endpoints always, the others if the door has what they need."""

from typing import TYPE_CHECKING

from bursar.portal.api.endpoints import PAYMENT_ENDPOINTS, Endpoint
from bursar.portal.api.openapi import documentation_endpoints
from bursar.portal.api.overview_endpoints import overview_endpoints
from bursar.portal.api.question_endpoints import question_endpoints
from bursar.portal.contract.messages import Call, Reply
from bursar.portal.state.portal import Portal
from bursar.portal.use_cases.transaction_log import TransactionLog

if TYPE_CHECKING:
    from bursar.portal.metrics.metrics import Metrics
    from bursar.reports.port import StreamedAnswers


def all_endpoints(
    log: TransactionLog | None = None,
    metrics: "Metrics | None" = None,
    *,
    reports: "StreamedAnswers | None" = None,
    documented: bool = True,
) -> tuple[Endpoint, ...]:
    """Return the payment endpoints, the dashboard's if there is a ``log``, and /metrics if there are ``metrics``.

    With ``reports``, also ``/sql`` and ``/reports``.

    ``documented``: also /docs and /openapi.json.
    """
    endpoints = PAYMENT_ENDPOINTS
    if log is not None:
        endpoints += overview_endpoints(log)
    if reports is not None:
        endpoints += question_endpoints(reports)
    if metrics is not None:
        endpoints += (_metrics_endpoint(metrics),)
    return endpoints + documentation_endpoints(endpoints) if documented else endpoints


def _metrics_endpoint(metrics: "Metrics") -> Endpoint:
    # Loaded here: a door without metrics does not need prometheus_client.
    from bursar.portal.metrics.metrics import TEXT_TYPE

    async def _metrics(portal: Portal, call: Call) -> Reply:
        return Reply(200, await metrics.text(portal), TEXT_TYPE)

    return Endpoint(
        "GET",
        "/metrics",
        "getMetrics",
        "Prometheus metrics",
        _metrics,
        {200: "Any"},
        authenticated=False,
        content_type="text/plain",
    )
