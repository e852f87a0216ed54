"""``RuledTable``: a table to which every write keeps the rules, on any store that speaks DynamoDB."""

import random
from collections.abc import Sequence

from bursar.clock import Clock
from bursar.rules.predicates import Item, Plain
from bursar.rules.ruleset import Rules
from bursar.rules.writes import Write


class RuledTable:
    """Writes on ``table_name`` through ``store``, each one transaction that keeps ``rules`` under any concurrency."""

    def __init__(
        self, store: object, table_name: str, rules: Rules, *, randomness: random.Random, clock: Clock
    ) -> None: ...

    async def write(self, writes: Sequence[Write], token: str | None = None) -> None:
        """All of ``writes`` take place, or none: one TransactWriteItems.

        ``token`` (≤ 36 characters) is the ClientRequestToken; by default a fresh one. Raises what
        :mod:`bursar.rules.errors` draws.
        """

    async def owner_of(self, rule: str, *values: Plain | Item) -> Item | None:
        """The key of the item that holds ``values`` (one per attribute) under the unique or unique-while ``rule``.

        A strongly consistent read of the sentinel; None when nobody holds it.
        """
