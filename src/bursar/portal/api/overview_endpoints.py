"""Define the dashboard's endpoints. A door serves them if it is given a transaction log."""

from collections.abc import Awaitable
from typing import Final, TypeVar

from bursar.portal.api.endpoints import Endpoint, EndpointParameter
from bursar.portal.contract.error_catalogue import LOG_UNAVAILABLE, NO_OVERVIEW, VALIDATION_ERROR
from bursar.portal.contract.errors import InvalidRequest, Unavailable
from bursar.portal.contract.messages import Call, Reply, json_reply
from bursar.portal.contract.validation import AS_OF, problem
from bursar.portal.contract.views import entries_json, log_page_json, status_counts_json
from bursar.portal.state.portal import Portal
from bursar.portal.use_cases.log_query import DESCRIBED, STATUSES, read_log_query
from bursar.portal.use_cases.transaction_log import (
    TransactionLog,
    newest_transactions,
    status_counts,
    transaction_log,
)

T = TypeVar("T")

_ERRORS: Final = (NO_OVERVIEW, LOG_UNAVAILABLE)
_STATUS_IN_PATH: Final = EndpointParameter(
    "paymentStatus", "path", {"type": "string", "enum": list(STATUSES)}, "Only this payment status."
)


def overview_endpoints(log: TransactionLog) -> tuple[Endpoint, ...]:
    """Return ``/transactions``, ``/transaction-payment-status`` and ``/transaction-log`` over ``log``."""

    async def _newest(portal: Portal, call: Call) -> Reply:
        status = call.values.get("paymentStatus")
        if status is not None and status not in STATUSES:
            wrong = problem(["paymentStatus"], f"must be one of {', '.join(STATUSES)}", "enum")
            raise InvalidRequest(VALIDATION_ERROR, [wrong])
        return json_reply(entries_json(await _answered(newest_transactions(log, call.client, status))))

    async def _counts(portal: Portal, call: Call) -> Reply:
        return json_reply(status_counts_json(await _answered(status_counts(log, call.client))))

    async def _log(portal: Portal, call: Call) -> Reply:
        query = read_log_query(call.query, portal.clock())
        return json_reply(log_page_json(await _answered(transaction_log(portal, log, call.client, query))))

    parameters = tuple(EndpointParameter(name, "query", schema, text) for name, (schema, text) in DESCRIBED.items())
    return (
        Endpoint(
            "GET",
            "/transactions",
            "getTransactions",
            "The newest 100 attempts",
            _newest,
            {200: "Transactions"},
            errors=_ERRORS,
            for_browsers=True,
        ),
        Endpoint(
            "GET",
            "/transactions/{paymentStatus}",
            "getTransactionsByStatus",
            "The newest 100 attempts of one payment status",
            _newest,
            {200: "Transactions"},
            errors=(VALIDATION_ERROR, *_ERRORS),
            for_browsers=True,
            parameters=(_STATUS_IN_PATH,),
        ),
        Endpoint(
            "GET",
            "/transaction-payment-status",
            "getTransactionPaymentStatus",
            "How many attempts there are in each payment status",
            _counts,
            {200: "StatusCounts"},
            errors=_ERRORS,
            for_browsers=True,
        ),
        Endpoint(
            "GET",
            "/transaction-log",
            "getTransactionLog",
            "The attempts that last changed in a time frame, page by page",
            _log,
            {200: "TransactionLog"},
            errors=(VALIDATION_ERROR, *_ERRORS),
            for_browsers=True,
            parameters=parameters,
        ),
    )


async def _answered(question: Awaitable[T]) -> T:
    """Await ``question``. A busy or slow log is 503, without the log's own message, which may quote SQL.

    A state before the horizon of the reports is an ``InvalidRequest``.
    """
    # Imported here: a Lambda that only takes payments does not load the reports.
    from bursar.reports.errors import InstantForgotten, LakeBusy, QueryTooLarge, QueryTooLong

    try:
        return await question
    except InstantForgotten as error:
        rule = str(error).partition(": ")[2]
        raise InvalidRequest(VALIDATION_ERROR, [problem([AS_OF], rule, "parameter")]) from error
    except (LakeBusy, QueryTooLarge, QueryTooLong) as error:
        raise Unavailable(LOG_UNAVAILABLE) from error
