"""The error that DynamoDB's operations raise, and two errors of a store whose request got no answer.

``DynamoError`` carries what the wire needs; ``NAMESPACES`` below is the table of namespaces (Amazon DynamoDB Developer
Guide, "Error handling with DynamoDB"; botocore's ``dynamodb`` service model).
"""

from typing import Any

DYNAMODB = "com.amazonaws.dynamodb.v20120810"
CORAL_VALIDATE = "com.amazon.coral.validate"
CORAL_SERVICE = "com.amazon.coral.service"
CORAL_AVAILABILITY = "com.amazon.coral.availability"

NAMESPACES = {
    "ValidationException": CORAL_VALIDATE,
    "SerializationException": CORAL_SERVICE,
    "UnknownOperationException": CORAL_SERVICE,
    "AccessDeniedException": CORAL_SERVICE,
    "UnrecognizedClientException": CORAL_SERVICE,
    "MissingAuthenticationTokenException": CORAL_SERVICE,
    "IncompleteSignatureException": CORAL_SERVICE,
    "InvalidSignatureException": CORAL_SERVICE,
    "ThrottlingException": CORAL_AVAILABILITY,
}
"""The namespaces of errors that the service framework raises; every other code is in DynamoDB's namespace."""

SERVER_FAULTS = frozenset({"InternalServerError", "ServiceUnavailable"})

CAPITAL_MESSAGE = frozenset({"TransactionCanceledException", "AccessDeniedException", "SerializationException"})
"""Codes whose body has the member ``Message``; the others have ``message``."""


class DynamoError(Exception):
    """An error as DynamoDB reports it: code, message, HTTP status and the body's other members."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        http_status: int | None = None,
        item: dict[str, Any] | None = None,
        cancellation_reasons: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.http_status = (500 if code in SERVER_FAULTS else 400) if http_status is None else http_status
        self.item = item
        self.cancellation_reasons = cancellation_reasons

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def body(self) -> dict[str, Any]:
        """Return the JSON body as Amazon sends it: ``__type``, the message and the error's other members."""
        body: dict[str, Any] = {"__type": f"{NAMESPACES.get(self.code, DYNAMODB)}#{self.code}"}
        if self.cancellation_reasons is not None:
            body["CancellationReasons"] = self.cancellation_reasons
        body["Message" if self.code in CAPITAL_MESSAGE else "message"] = self.message
        if self.item is not None:
            body["Item"] = self.item
        return body


EXPLICIT_DENY = "with an explicit deny in a resource-based policy"
"""The end of the message for a request that the table's resource policy denies."""

INVALID_PARAMETER = "One or more parameter values were invalid: "
ENVELOPE = "1 validation error detected: "
"""The prefix of PutItem, UpdateItem and DeleteItem for every error that does not depend on the table."""


class InvalidValue(DynamoError):
    """A ValidationException whose text depends on the operation.

    Amazon checks requests in two layers. ``message`` is the older one's text, which BatchWriteItem, the transactions,
    Scan and statements report. ``current`` is the newer one's, which GetItem, BatchGetItem and Query report, and with
    :data:`ENVELOPE` the writes of one item. Source: paritysuite/dynamodb-conformance, valueLayers.
    """

    def __init__(self, message: str, current: str) -> None:
        super().__init__("ValidationException", message)
        self.current = current


def in_current_wording(error: DynamoError) -> DynamoError:
    """Return ``error`` with the text of the newer layer of checks."""
    return invalid(error.current) if isinstance(error, InvalidValue) else error


def enveloped(error: DynamoError) -> DynamoError:
    """Return an error that does not depend on the table, as PutItem, UpdateItem and DeleteItem report it."""
    if error.code != "ValidationException" or error.message.startswith(ENVELOPE):
        return error
    return invalid(ENVELOPE + in_current_wording(error).message)


class StoreOutcomeUnknown(Exception):
    """The request was sent and no answer was received: it may or may not have taken place."""


class StoreUnreachable(Exception):
    """The request was definitely not sent."""


def invalid(message: str) -> DynamoError:
    """Return a ValidationException: the request is well formed, and DynamoDB rejects its content."""
    return DynamoError("ValidationException", message)


def invalid_parameter(message: str) -> DynamoError:
    """Return a ValidationException with the prefix that DynamoDB gives to bad attribute values and keys."""
    return DynamoError("ValidationException", INVALID_PARAMETER + message)


def token_reused() -> DynamoError:
    """Return the error for a client token that another request has used."""
    return DynamoError(
        "IdempotentParameterMismatchException",
        "Provided idempotent token has already been used with different request parameters.",
    )


def invalid_request(message: str) -> DynamoError:
    """Return a ValidationException with the prefix that DynamoDB gives to the rules of backups and exports."""
    return invalid(f"Invalid Request: {message}")


def unreadable(message: str) -> DynamoError:
    """Return a SerializationException: a member has a JSON type other than that of its shape."""
    return DynamoError("SerializationException", message)


def condition_failed(item: dict[str, Any] | None = None, message: str | None = None) -> DynamoError:
    """Return a ConditionalCheckFailedException; ``item`` is the old item when ALL_OLD was requested."""
    return DynamoError("ConditionalCheckFailedException", message or "The conditional request failed", item=item)
