"""Every exception of a lower room becomes an error of the portal, and all errors have one JSON shape."""

import importlib
import inspect

import pytest

from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown, StoreUnreachable
from bursar.paygov.errors import ArgumentRefused, Fault, Lost, Nonsense, NotSent, QueryUnavailable, TimedOut
from bursar.payments.errors import AttemptsExhausted, FeeRetired, LedgerBusy, ObligationTaken
from bursar.portal.contract import errors
from bursar.portal.contract.error_catalogue import UNEXPECTED
from bursar.portal.contract.errors import LOWER_LAYERS, STORE_BUSY_CODES, PortalError, Unexpected, portal_error

ROOMS = ("bursar.payments.errors", "bursar.paygov.errors", "bursar.rules.errors", "bursar.dynamo.errors")
TRANSLATED_ELSEWHERE = {"DynamoError", "InvalidValue"}
"""Answers of a store: portal_error reads their code."""


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


RAISED: tuple[tuple[Exception, int, str], ...] = (
    (NotSent("no connection"), 504, "nothing_sent"),
    (ArgumentRefused("amount"), 400, "not_accepted_by_paygov"),
    (TimedOut("no reply"), 504, "outcome_unknown"),
    (Lost("reset"), 504, "outcome_unknown"),
    (Nonsense("garbage"), 502, "outcome_unknown"),
    (Fault("4019", "no such application"), 502, "paygov_refused"),
    (QueryUnavailable("not configured"), 502, "paygov_refused"),
    (StoreUnreachable("away"), 503, "store_unavailable"),
    (StoreOutcomeUnknown("no answer"), 503, "store_outcome_unknown"),
    (LedgerBusy("busy"), 503, "store_unavailable"),
    (ObligationTaken(None), 409, "lost_race"),
    (FeeRetired("OLD_FEE"), 400, "invalid_request"),
    (AttemptsExhausted("dawson", "r"), 409, "too_many_attempts"),
)
"""A caller acts by the code: `nothing_sent` may be repeated, `outcome_unknown` must not be."""


@pytest.mark.parametrize(("error", "status", "code"), RAISED, ids=[type(error).__name__ for error, *_ in RAISED])
def test_a_lower_exception_has_the_code_that_says_what_a_caller_may_do(
    error: Exception, status: int, code: str
) -> None:
    known = portal_error(error)
    assert (known.status, known.code.code) == (status, code)


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
    classes = [
        *PortalError.__subclasses__(),
        *(below for each in PortalError.__subclasses__() for below in each.__subclasses__()),
    ]
    leaves = {each.__name__: each.status for each in classes}
    assert drawn == leaves
