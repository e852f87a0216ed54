"""Each limit in size at its two edges: the last size that is taken, and the first that is not.

A row has the limit, and a function that takes something of a size or raises. Limits in time are tested where they are
used.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import click
import pytest

from bursar.clock import from_iso_ms
from bursar.payments.reversals import ReversalReport
from bursar.portal.contract.errors import InvalidRequest, TooLarge
from bursar.portal.contract.periods import YEAR_MAX, YEAR_MIN, read_moment
from bursar.portal.contract.schemas import BODY_BYTES_MAX, URL_CHARS_MAX
from bursar.portal.contract.validation import (
    DEPTH_MAX,
    EXPONENT_MAX,
    NUMBER_CHARS_MAX,
    PROBLEMS_MAX,
    read_init,
    read_json,
    read_metadata,
)
from bursar.portal.deposit_commands import NAME_CHARS_MAX, _named
from bursar.portal.doors.asgi import REQUEST_ID_CHARS_MAX, sent_request_id
from bursar.portal.state.portal import PortalSettings
from bursar.portal.upkeep.attention import TEXT_CHARS_MAX, check_words
from bursar.portal.upkeep.imports import rows
from bursar.portal.upkeep.imports.rows import _value
from bursar.portal.upkeep.reversals import CODE_CHARS_MAX, _checked
from bursar.portal.use_cases.log_query import (
    CLOCKS_APART_MAX_S,
    EXPORT_PAGE_SIZE_MAX,
    PAGE_MAX,
    PAGE_SIZE_MAX,
    PARAMETERS_MAX,
    read_log_query,
)
from bursar.portal.webhooks import subscriptions
from bursar.portal.webhooks.signing import AGE_MAX_S, signature, verified
from bursar.portal.webhooks.subscriptions import Subscriptions
from tests.support.edges import Limits, check_largest, check_smallest
from tests.support.write_paths import shipped_fees

NOW = from_iso_ms("2026-11-22T19:30:00.125Z")
REFUSALS = (InvalidRequest, TooLarge, ValueError, click.UsageError)
GOOD = {
    "transactionReferenceId": "550e8400-e29b-41d4-a716-446655440000",
    "fee": "PETITION_FILING_FEE",
    "urlSuccess": "https://client.example/success",
    "urlCancel": "https://client.example/cancel",
    "metadata": {"docketNumber": "123-26"},
}


def holds(condition: bool) -> None:
    """Raise ``ValueError`` unless ``condition`` holds."""
    if not condition:
        raise ValueError("refused")


def init(**changes: Any) -> None:
    read_init(json.dumps({**GOOD, **changes}).encode(), shipped_fees(), NOW)


def url(chars: int) -> str:
    return "https://client.example/".ljust(chars, "a")


def report(**facts: Any) -> None:
    known = {"by": "Ada", "reason": "seen", **facts}
    _checked(ReversalReport("charged_back", Decimal("1.00"), "operator", **known))


def subscribe(secret_chars: int = 32, url_chars: int = 30, name_chars: int = 5) -> None:
    name, secret = "n" * name_chars, "s" * secret_chars
    table = f'[webhooks.{name}]\nclient = "dawson"\nurl = "{url(url_chars)}"\nsecret = "{secret}"\n'
    Subscriptions.parse(table.encode(), source="webhooks.toml")


def nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


LARGEST: Limits = {
    "bytes of a body": (BODY_BYTES_MAX, lambda n: read_json(b"1".ljust(n))),
    "levels of a body": (DEPTH_MAX, lambda n: read_json(nested(n))),
    "digits of a whole number": (NUMBER_CHARS_MAX, lambda n: read_json(b"1" * n)),
    "digits of a number with decimals": (NUMBER_CHARS_MAX, lambda n: read_json(b"1.".ljust(n, b"1"))),
    "a number's exponent": (EXPONENT_MAX, lambda n: read_json(f"1e{n}".encode())),
    "a small number's exponent": (EXPONENT_MAX, lambda n: read_json(f"1e-{n}".encode())),
    "an address for success": (URL_CHARS_MAX, lambda n: init(urlSuccess=url(n))),
    "an address for cancel": (URL_CHARS_MAX, lambda n: init(urlCancel=url(n))),
    "a reporter's name": (NAME_CHARS_MAX, lambda n: _named("--by", "a" * n)),
    "a request id": (REQUEST_ID_CHARS_MAX, lambda n: holds(sent_request_id({"x-request-id": "a" * n}) != "")),
    "an operator's name": (TEXT_CHARS_MAX, lambda n: check_words("a" * n, "seen")),
    "an operator's reason": (TEXT_CHARS_MAX, lambda n: check_words("Ada", "a" * n)),
    "a reason code": (CODE_CHARS_MAX, lambda n: report(reason_code="a" * n)),
    "a deposit ticket": (CODE_CHARS_MAX, lambda n: report(deposit_ticket="a" * n)),
    "a debit voucher": (CODE_CHARS_MAX, lambda n: report(debit_voucher="a" * n)),
    "a report's id": (CODE_CHARS_MAX, lambda n: report(report_id="a" * n)),
    "a value of an imported row": (rows.TEXT_CHARS_MAX, lambda n: _value("fee", "a" * n)),
    "a page": (PAGE_MAX, lambda n: read_log_query(f"page={n}", NOW)),
    "a page's size": (PAGE_SIZE_MAX, lambda n: read_log_query(f"pageSize={n}", NOW)),
    "an exported page's size": (EXPORT_PAGE_SIZE_MAX, lambda n: read_log_query(f"export=true&pageSize={n}", NOW)),
    "parameters of a query": (PARAMETERS_MAX, lambda n: read_log_query("&".join(f"x{k}=1" for k in range(n)), NOW)),
    "a court day's year": (YEAR_MAX, lambda n: read_moment(f"12/31/{n}", ends=True)),
    "a moment's year": (YEAR_MAX, lambda n: read_moment(f"{n}-12-31T00:00:00Z", ends=False)),
    "the age of a signature": (AGE_MAX_S, lambda n: holds(verified("s", b"", signature("s", b"", NOW), int(NOW) + n))),
    "a signature from ahead": (AGE_MAX_S, lambda n: holds(verified("s", b"", signature("s", b"", NOW), int(NOW) - n))),
    "a webhook's address": (subscriptions.URL_CHARS_MAX, lambda n: subscribe(url_chars=n)),
    "a webhook's name": (64, lambda n: subscribe(name_chars=n)),
}
SMALLEST: Limits = {
    "a page": (1, lambda n: read_log_query(f"page={n}", NOW)),
    "a page's size": (1, lambda n: read_log_query(f"pageSize={n}", NOW)),
    "a court day's year": (YEAR_MIN, lambda n: read_moment(f"01/01/{n}", ends=False)),
    "a moment's year": (YEAR_MIN, lambda n: read_moment(f"{n}-01-01T00:00:00Z", ends=False)),
    "a webhook's secret": (subscriptions.SECRET_CHARS_MIN, lambda n: subscribe(secret_chars=n)),
    "an operator's name": (1, lambda n: check_words("a" * n, "seen")),
    "an operator's reason": (1, lambda n: check_words("Ada", "a" * n)),
    "a reporter's name": (1, lambda n: _named("--by", "a" * n)),
    "a lease of twice Pay.gov's timeout": (40, lambda n: PortalSettings(paygov_timeout_s=20.0, lease_s=n)),
}


@pytest.mark.parametrize(("largest", "take"), LARGEST.values(), ids=LARGEST)
def test_the_largest_is_taken_and_the_next_is_refused(largest: int, take: Callable[[int], Any]) -> None:
    check_largest(largest, take, REFUSALS)


@pytest.mark.parametrize(("smallest", "take"), SMALLEST.values(), ids=SMALLEST)
def test_the_smallest_is_taken_and_the_one_below_is_refused(smallest: int, take: Callable[[int], Any]) -> None:
    check_smallest(smallest, take, REFUSALS)


def test_a_refusal_names_a_bounded_number_of_problems() -> None:
    for extra, named in ((PROBLEMS_MAX, PROBLEMS_MAX), (PROBLEMS_MAX + 1, PROBLEMS_MAX), (3, 3)):
        with pytest.raises(InvalidRequest) as refused:
            init(**{f"x{k}": 1 for k in range(extra)})
        assert len(refused.value.errors) == named


def test_the_first_page_may_be_of_a_clock_that_is_ahead() -> None:
    ahead = NOW + CLOCKS_APART_MAX_S
    assert read_log_query("asOf=2026-11-22T21:30:00.125Z", NOW).as_of == pytest.approx(ahead)
    with pytest.raises(InvalidRequest, match="Validation error"):
        read_log_query("asOf=2026-11-22T21:30:00.126Z", NOW)


def test_a_frame_may_be_empty_only_between_instants() -> None:
    at = "2026-11-22T19:30:00Z"
    found = read_log_query(f"from={at}&to={at}", NOW)
    assert found.since == found.until
    for query in (f"from={at}&to=2026-11-22T19:29:59Z", "from=2026-11-23T05:00:00Z&to=11/22/2026"):
        with pytest.raises(InvalidRequest):
            read_log_query(query, NOW)


def test_metadata_keep_numbers_up_to_their_digits() -> None:
    assert read_metadata("9" * NUMBER_CHARS_MAX) == int("9" * NUMBER_CHARS_MAX)
