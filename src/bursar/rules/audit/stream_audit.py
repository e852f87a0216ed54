"""The audit of a change stream: the rules about changes judge each change, from the old image to the new one.

A scan reads a table's present state. Only its changes show that a status moved back, an immutable attribute changed or
an event was removed. The input is stream records in the form of DynamoDB Streams with NEW_AND_OLD_IMAGES, one JSON
object per line: ``{"eventID": …, "dynamodb": {"Keys": …, "OldImage": …, "NewImage": …}}``.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from bursar.dynamo.items.attribute_values import Item
from bursar.rules.audit.table_audit import Finding
from bursar.rules.judging.plan import RulesPlan
from bursar.rules.judging.sentinels import is_sentinel


class NotAChange(ValueError):
    """A line is not a stream record with images. The message gives the line number."""


def audit_changes(plan: RulesPlan, changes: Iterable[tuple[Item | None, Item | None]]) -> Iterator[Finding]:
    """Yield a finding for every change (old, new) that a rule refuses, in order. Memory use is constant."""
    for old, new in changes:
        item = old if new is None else new
        if item is None or all(is_sentinel(one, plan.kind_attribute) for one in (old, new) if one is not None):
            continue
        found = plan.judge(old, new)
        if found is not None:
            yield Finding("violation", found.rule, found.key, found.message)


def changes_from_lines(lines: Iterable[bytes], plan: RulesPlan) -> Iterator[tuple[Item | None, Item | None]]:
    """Yield the changes in stream records, one record per line. Raises :class:`NotAChange`."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            images: dict[str, Any] = orjson.loads(line)["dynamodb"]
            old, new = images.get("OldImage"), images.get("NewImage")
            keyed = [plan.key(item) for item in (old, new) if item is not None]
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as fault:
            raise NotAChange(f"line {number}: must be a stream record; got {fault!r}") from None
        if not keyed:
            raise NotAChange(f"line {number}: must have images; the stream's view type must be NEW_AND_OLD_IMAGES")
        yield old, new
