"""Compare two tables by counts and checksums of their partitions, without holding their items.

    each item ─► the bucket of its partition key ─► bucket: number of items, sum of the items' digests

The sum of digests (modulo 2^256) does not depend on the order of the items, so a table may be read in parallel and two
stores may order their partitions differently. Items are digested in a canonical form: attributes and the members of
sets are sorted.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b, sha256
from typing import Any, Final, NamedTuple

import orjson

from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.tools.moving.patient_store import PatientStore
from bursar.dynamo.tools.moving.side_by_side import run_at_once

BUCKETS: Final = 4096
DIGEST_BYTES: Final = 32
MODULUS: Final = 1 << (8 * DIGEST_BYTES)
SETS: Final = frozenset({"SS", "NS", "BS"})


class Checksum(NamedTuple):
    """The number of items in some partitions, and the sum of their digests."""

    items: int
    digest: int


EMPTY: Final = Checksum(0, 0)
Checksums = Mapping[int, Checksum]
"""Bucket of partitions → its checksum; a bucket without items is absent."""


async def checksums(
    store: PatientStore,
    table: str,
    partition_name: str,
    *,
    segments: int,
    left_out: Callable[[Item], bool] = lambda item: False,
    on_progress: Callable[[int], None] = lambda items: None,
) -> Checksums:
    """Read the whole table, ``segments`` scans at once, and return its checksums.

    ``left_out``: a function that returns True for items that do not count. ``on_progress`` receives the number of items
    of each page.
    """
    found: dict[int, Checksum] = {}

    async def read(segment: int) -> None:
        request: dict[str, Any] = {"TableName": table, "ConsistentRead": True}
        request |= {"Segment": segment, "TotalSegments": segments}
        while True:
            page = await store.call("Scan", request)
            _add(found, (item for item in page["Items"] if not left_out(item)), partition_name)
            on_progress(len(page["Items"]))
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    await run_at_once(read(segment) for segment in range(segments))
    return found


def differing(one: Checksums, other: Checksums) -> list[int]:
    """Return the buckets in which two tables differ."""
    return sorted(bucket for bucket in {*one, *other} if one.get(bucket) != other.get(bucket))


def total(sums: Checksums) -> Checksum:
    """Return the checksum of a whole table."""
    return Checksum(sum(each.items for each in sums.values()), sum(each.digest for each in sums.values()) % MODULUS)


def item_digest(item: Item) -> int:
    """Return the digest of one item, the same for equal items of any store."""
    body = orjson.dumps(_canonical(item), option=orjson.OPT_SORT_KEYS)
    return int.from_bytes(blake2b(body, digest_size=DIGEST_BYTES).digest(), "big")


def _add(found: dict[int, Checksum], items: Iterable[Item], partition_name: str) -> None:
    for item in items:
        key = orjson.dumps(item[partition_name])
        bucket = int.from_bytes(sha256(key).digest()[:2], "big") % BUCKETS
        known = found.get(bucket, EMPTY)
        found[bucket] = Checksum(known.items + 1, (known.digest + item_digest(item)) % MODULUS)


def _canonical(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _canonical_value(value) for name, value in attributes.items()}


def _canonical_value(value: Mapping[str, Any]) -> dict[str, Any]:
    ((kind, content),) = value.items()
    if kind in SETS:
        return {kind: sorted(content)}
    if kind == "M":
        return {kind: _canonical(content)}
    if kind == "L":
        return {kind: [_canonical_value(each) for each in content]}
    return {kind: content}
