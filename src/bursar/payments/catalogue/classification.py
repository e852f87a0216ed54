"""The classification of a fee: how its amount is split over accounts of the Treasury.

Shares are amounts, for a fixed fee, or percentages that add up to 100. The parts are whole cents and add up to the
amount exactly: each is rounded down, and the last one takes the rest.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from bursar.payments.classified_amounts import ClassifiedAmount
from bursar.payments.records import CENT, ZERO

SHARES_MAX: Final = 20
"""The most shares of a fee, which bounds the size of an attempt's item."""
HUNDRED: Final = Decimal(100)
_AMOUNT: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,2})?")
_PERCENT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?)%")
_ID: Final = re.compile(r"[!-~]{1,100}")


@dataclass(frozen=True, slots=True)
class Share:
    """The share of one account: ``amount`` in dollars, or ``percent``; the other is None."""

    classification_id: str
    amount: Decimal | None = None
    percent: Decimal | None = None


def split(amount: Decimal, shares: Sequence[Share]) -> tuple[ClassifiedAmount, ...]:
    """Return the parts of ``amount``, without parts of 0. The parts add up to it."""
    parts = [_part(amount, share) for share in shares[:-1]]
    parts.append(amount - sum(parts, ZERO))
    named = zip(shares, parts, strict=True)
    return tuple(ClassifiedAmount(share.classification_id, part) for share, part in named if part)


def read_shares(rows: object, amount: object) -> tuple[tuple[Share, ...], list[tuple[str, str]]]:
    """Return the shares in ``rows`` of the catalogue, and the problems as (place, problem).

    ``amount`` is the fee's amount as the catalogue has it, None for a variable one.
    """
    if not isinstance(rows, list) or len(rows) > SHARES_MAX:
        return (), [("", f"must be a list of at most {SHARES_MAX} {{ id = …, share = … }}")]
    shares: list[Share] = []
    problems: list[tuple[str, str]] = []
    for number, row in enumerate(rows):
        share = _share(row)
        if isinstance(share, str):
            problems.append((f"[{number}]", share))
        else:
            shares.append(share)
    if shares and not problems:
        problem = _sum_problem(shares, amount)
        problems += [("", problem)] if problem else []
    return tuple(shares), problems


def _part(amount: Decimal, share: Share) -> Decimal:
    if share.percent is None:
        assert share.amount is not None, "a share is an amount or a percentage"
        return share.amount
    return (amount * share.percent / HUNDRED).quantize(CENT, ROUND_DOWN)


def _share(row: Any) -> Share | str:
    """Return the share, or the problem with it."""
    if not isinstance(row, dict) or row.keys() != {"id", "share"}:
        return "must be a table of id and share"
    name, share = row["id"], row["share"]
    if not isinstance(name, str) or not _ID.fullmatch(name):
        return f"must have an id of 1 to 100 characters of ASCII without spaces; got {name!r}"
    if isinstance(share, str) and (percent := _PERCENT.fullmatch(share)) and Decimal(percent[1]) > 0:
        return Share(name, percent=Decimal(percent[1]))
    if isinstance(share, str) and _AMOUNT.fullmatch(share) and Decimal(share) > 0:
        return Share(name, amount=Decimal(share).quantize(CENT))
    return f'must have a share above 0, such as "24.00" or "40%"; got {share!r}'


def _sum_problem(shares: Sequence[Share], amount: object) -> str | None:
    names = [share.classification_id for share in shares]
    if len(set(names)) < len(names):
        return f"must have a different id for each share; got {', '.join(names)}"
    percents = [share.percent for share in shares if share.percent is not None]
    if len(percents) == len(shares):
        return None if sum(percents) == HUNDRED else f"must have shares that add up to 100%; got {sum(percents)}%"
    if percents:
        return "must have amounts only, or percentages only"
    total = sum((share.amount for share in shares if share.amount is not None), ZERO)
    if amount is None:
        return "must have percentages, because the caller chooses the amount"
    if not _AMOUNT.fullmatch(str(amount)) or Decimal(str(amount)) == total:
        return None  # an invalid amount is reported elsewhere
    return f"must add up to the amount, {amount}; got {total}"
