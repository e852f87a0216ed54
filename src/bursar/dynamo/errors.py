"""The one error that DynamoDB's operations raise, and the two that a store adds about the request itself.

``DynamoError`` carries what the wire needs; ``REFUSALS`` below is the table of namespaces and HTTP statuses
(Amazon DynamoDB Developer Guide, "Error handling with DynamoDB"; botocore's ``dynamodb`` service model).
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
"""Errors that come from the service framework; every other code is DynamoDB's own."""

SERVER_FAULTS = frozenset({"InternalServerError", "ServiceUnavailable"})

CAPITAL_MESSAGE = frozenset({"TransactionCanceledException", "AccessDeniedException", "SerializationException"})
"""Codes whose body says ``Message``; the others say ``message``."""


class DynamoError(Exception):
    """A refusal in DynamoDB's words: code, message, HTTP status and what else the body carries."""

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
        """The JSON body as Amazon sends it: ``__type``, the message and the error's own members."""
        body: dict[str, Any] = {"__type": f"{NAMESPACES.get(self.code, DYNAMODB)}#{self.code}"}
        if self.cancellation_reasons is not None:
            body["CancellationReasons"] = self.cancellation_reasons
        body["Message" if self.code in CAPITAL_MESSAGE else "message"] = self.message
        if self.item is not None:
            body["Item"] = self.item
        return body


class StoreOutcomeUnknown(Exception):
    """The request was sent and no answer came: it may or may not have taken place."""


class StoreUnreachable(Exception):
    """The request was definitely not sent."""


def invalid(message: str) -> DynamoError:
    """A ValidationException: the request is well formed and DynamoDB will not have it."""
    return DynamoError("ValidationException", message)


def invalid_parameter(message: str) -> DynamoError:
    """A ValidationException with the prefix that DynamoDB gives to bad attribute values and keys."""
    return DynamoError("ValidationException", f"One or more parameter values were invalid: {message}")


def unreadable(message: str) -> DynamoError:
    """A SerializationException: a member has another JSON type than its shape says."""
    return DynamoError("SerializationException", message)


def condition_failed(item: dict[str, Any] | None = None, message: str | None = None) -> DynamoError:
    """A ConditionalCheckFailedException; ``item`` is the old item when ALL_OLD was asked for."""
    return DynamoError("ConditionalCheckFailedException", message or "The conditional request failed", item=item)
