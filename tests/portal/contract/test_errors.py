"""Every exception of a lower room becomes an error of the portal, and all errors have one JSON shape."""

import importlib
import inspect

import pytest

from bursar.dynamo.errors import DynamoError
from bursar.portal.contract import errors
from bursar.portal.contract.error_catalogue import UNEXPECTED
from bursar.portal.contract.errors import LOWER_LAYERS, STORE_BUSY_CODES, PortalError, Unexpected, portal_error

ROOMS = ("bursar.payments.errors", "bursar.paygov.errors", "bursar.rules.errors", "bursar.dynamo.errors")
# Base classes, which are not raised themselves. Their rows are for subclasses that are added later.
TRANSLATED_ELSEWHERE = {"DynamoError"}


def _exceptions(module: str) -> list[type[Exception]]:
    found = vars(importlib.import_module(module)).values()
    return [each for each in found if inspect.isclass(each) and issubclass(each, Exception)]


@pytest.mark.parametrize("error", [e for room in ROOMS for e in _exceptions(room)], ids=lambda e: e.__name__)
def test_every_lower_exception_has_a_row(error: type[Exception]) -> None:
    assert error.__name__ in TRANSLATED_ELSEWHERE or any(issubclass(error, lower) for lower, _, _ in LOWER_LAYERS)


def test_no_row_stands_behind_one_that_hides_it() -> None:
    lowers = [lower for lower, _, _ in LOWER_LAYERS]
    hidden = [b for a_at, a in enumerate(lowers) for b in lowers[a_at + 1 :] if issubclass(b, a)]
    assert hidden == []


@pytest.mark.parametrize("code", sorted(STORE_BUSY_CODES))
def test_a_busy_store_is_503_with_retry_after(code: str) -> None:
    known = portal_error(DynamoError(code, "no"))
    assert (known.status, known.headers["retry-after"]) == (503, "1")


def test_an_unexpected_exception_is_500_without_details() -> None:
    for error in (RuntimeError("secret"), DynamoError("ValidationException", "secret")):
        known = portal_error(error)
        assert isinstance(known, Unexpected)
        assert known.body() == {"message": UNEXPECTED.message, "code": "unexpected", "errors": []}


def test_the_docstring_draws_every_error_with_its_status() -> None:
    drawn = {
        words[1]: int(words[2])
        for words in (line.split() for line in (errors.__doc__ or "").splitlines())
        if len(words) > 2 and words[0] in ("├──", "└──")
    }
    leaves = {each.__name__: each.status for each in PortalError.__subclasses__()}
    assert drawn == leaves
