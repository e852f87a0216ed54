"""The hash of an event, computed again by the few lines that docs/tamper-evidence.md gives to auditors."""

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo.items.attribute_values import Item
from bursar.payments.event_chain import CHAIN_BEGINS, event_hash, text_of_digest
from bursar.payments.records import Attempt, Event, event_from_item, latest_event, to_item

PAGE = Path(__file__).parents[2] / "docs" / "tamper-evidence.md"


def auditors_hash(item: Item) -> str:
    """Return the hash by the code in the page for auditors."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return str(names["event_hash"](item))


texts = st.text(st.characters(codec="utf-8"), max_size=20)
items = st.dictionaries(texts, st.fixed_dictionaries({"S": texts}) | st.fixed_dictionaries({"N": st.just("7")}))


@given(items)
def test_an_auditor_computes_the_same_hash(item: Item) -> None:
    assert auditors_hash(item) == event_hash(item)


def test_the_hash_of_an_event_never_changes(attempt: Attempt) -> None:
    event = latest_event(attempt, None, "started", "portal", {"reason": "ä/\u2028"})
    assert event_hash(to_item(event)) == "-V1WRPUf2FPlKE7n9eEaxjgSVll9HviME9uGITjwR4Q"


def test_the_hash_covers_every_attribute_that_is_no_key_of_table_or_index(attempt: Attempt) -> None:
    item = to_item(latest_event(attempt, None, "started", "portal"))
    keys = {"pk", "sk", "changeBucket", "changedAt"}
    whole = event_hash(item)
    assert {name for name in item if event_hash({**item, name: {"S": "other"}}) == whole} == keys
    assert event_hash({**item, "addedLater": {"S": "x"}}) != whole


def test_an_event_of_an_older_store_has_no_previous_hash(attempt: Attempt) -> None:
    event = latest_event(attempt, None, "started", "portal")
    assert event.previous_hash == CHAIN_BEGINS
    older: Event = replace(event, previous_hash=None)
    assert "previousHash" not in to_item(older)
    assert event_from_item(to_item(older)) == older


def test_a_digest_is_43_characters_without_padding() -> None:
    assert text_of_digest(bytes(32)) == CHAIN_BEGINS
    digest = hashlib.sha256(b"x").digest()
    text = text_of_digest(digest)
    assert (len(text), base64.urlsafe_b64decode(text + "=")) == (43, digest)
