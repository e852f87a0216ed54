"""The audit of a change stream: each change by itself, old image against new, by the rules about change.

A scan sees what a table is; only its changes show that a status moved back, an immutable attribute changed or an
event was removed. Input is stream records as DynamoDB Streams gives them with NEW_AND_OLD_IMAGES, one JSON object
per line: ``{"eventID": …, "dynamodb": {"Keys": …, "OldImage": …, "NewImage": …}}``.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from bursar.dynamo.items.attribute_values import Item
from bursar.rules.audit.table_audit import Finding
from bursar.rules.judging.plan import RulesPlan
from bursar.rules.judging.sentinels import is_sentinel


class NotAChange(ValueError):
    """A line that is no stream record with both images. The message says which line."""


def audit_changes(plan: RulesPlan, changes: Iterable[tuple[Item | None, Item | None]]) -> Iterator[Finding]:
    """Every change (old, new) that a rule would have refused, in order. Memory does not grow with their number."""
    for old, new in changes:
        item = old if new is None else new
        if item is None or all(is_sentinel(one, plan.kind_attribute) for one in (old, new) if one is not None):
            continue
        found = plan.judge(old, new)
        if found is not None:
            yield Finding("violation", found.rule, found.key, found.message)


def changes_from_lines(lines: Iterable[bytes], plan: RulesPlan) -> Iterator[tuple[Item | None, Item | None]]:
    """The changes that stream records tell of. Raises :class:`NotAChange`."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            images: dict[str, Any] = orjson.loads(line)["dynamodb"]
            old, new = images.get("OldImage"), images.get("NewImage")
            keyed = [plan.key(item) for item in (old, new) if item is not None]
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as fault:
            raise NotAChange(f"line {number} is no stream record: {fault!r}") from None
        if not keyed:
            raise NotAChange(f"line {number} has no images: the stream must carry NEW_AND_OLD_IMAGES")
        yield old, new
