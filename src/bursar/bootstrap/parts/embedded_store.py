"""Open the embedded store of a process, and put the rules of its fees into force."""

import random
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from bursar.clock import Clock
from bursar.dynamo.clients.store import MEMORY, Store, open_store
from bursar.dynamo.engine.engine import RulesRefused
from bursar.dynamo.engine.group_commit import AsyncEngine
from bursar.dynamo.storage.sqlite_file import StoreFormatError
from bursar.private_files import make_private_folder
from bursar.startup import CannotStart

if TYPE_CHECKING:
    from bursar.payments.ledger.ledger import Ledger
    from bursar.rules import Rules
    from bursar.rules.native import NativeGuard


async def open_embedded(url: str, path: str, clock: Clock, randomness: random.Random, *, creates: bool) -> Store:
    """Open the store of ``url`` in the file ``path``; ``creates``: create it if it is missing.

    Raises :class:`CannotStart`, ``OSError``, ``FileNotFoundError``, ``TooOpen`` and ``ValueError``.
    """
    if creates and path != MEMORY:
        make_private_folder(Path(path).parent)
    try:
        return await open_store(
            url, clock=clock, randomness=randomness, guard_loader=_load_guard, must_exist=not creates, private=True
        )
    except (apsw.Error, StoreFormatError) as error:
        raise CannotStart(f"the store {url} cannot be opened: {error}") from error


def store_rules(store: AsyncEngine, url: str, table: str, ledger: "Ledger", may_change: bool) -> None:
    """Store the rules of ``ledger`` with its table if the table has none, or has others and ``may_change`` is true.

    Raises :class:`CannotStart` if the engine refuses them.
    """
    from bursar.rules.language.toml import rules_to_toml

    document, before = rules_to_toml(ledger.rules), store.engine.rules_document(table)
    if before == document or (before is not None and not may_change):
        return
    try:
        # Storing other rules reads and judges the whole table: minutes for a million payments.
        if before is not None and _only_more_fees(before, ledger.rules):
            store.engine.amend_rules_document(table, document)
        else:
            store.engine.put_rules_document(table, document)
    except RulesRefused as error:
        raise CannotStart(f"the table {table} in {url}: {error}") from error


def _load_guard(document: str) -> "NativeGuard":
    # A process that only reads loads no rules.
    from bursar.rules.native import load_guard

    return load_guard(document)


def _only_more_fees(before: str, rules: "Rules") -> bool:
    from bursar.payments.rules import only_more_fees
    from bursar.rules.language.toml import rules_from_toml

    try:
        return only_more_fees(rules_from_toml(before), rules)
    except (ValueError, KeyError):  # the rules of another version, which this one cannot parse
        return False
