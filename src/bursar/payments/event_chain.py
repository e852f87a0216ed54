"""The chain of events: each event holds the hash of the event before it, so that no event can be changed unnoticed.

    attempt 1   event 1 ◄── event 2 ◄── event 3 ◄── attempt 1 (eventHash)
                                           ▲
    attempt 2                           event 1 ◄── event 2 ◄── attempt 2 (eventHash)

An event's ``previousHash`` is the hash of the event before it of the same attempt. For the first event of a further
attempt it is the hash of the last event that the previous attempt at the obligation had then. For the first event of an
obligation it is :data:`CHAIN_BEGINS`. An attempt's ``eventHash`` is the hash of its last event, so that the removal of
the last events is noticed.

The hash is SHA-256 of the event's item as canonical JSON (RFC 8785) without the keys of table and index, which repeat
other attributes. docs/tamper-evidence.md shows how to compute it in any language.
"""

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final

import orjson

from bursar.dynamo.items.attribute_values import Item

PREVIOUS_HASH: Final = "previousHash"
EVENT_HASH: Final = "eventHash"
CHAIN_BEGINS: Final = "A" * 43
"""The ``previousHash`` of an event with no event before it in the chain: 32 zero bytes.

The event before it does not exist, or was written by a version of Bursar that did not chain events.
"""
_KEYS: Final = frozenset({"pk", "sk", "changeBucket", "changedAt"})


def event_hash(item: Item) -> str:
    """Return the hash of an event from its stored ``item``: 43 characters, base64url without padding."""
    content = {name: value for name, value in item.items() if name not in _KEYS}
    return text_of_digest(sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest())


def text_of_digest(digest: bytes) -> str:
    """Return a SHA-256 ``digest`` as 43 characters, base64url without padding."""
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
