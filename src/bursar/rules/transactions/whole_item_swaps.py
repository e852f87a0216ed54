"""Logical writes → swaps of whole items, for a store in this process that stands under the same rules.

The compiled form (:mod:`bursar.rules.transactions.compile`) says in conditions what must be so at the instant of the
write. Here the
engine's own guard judges the same rules at that instant, so all that is left to say is which items there are and which
are to be: the items themselves and the sentinels of the unique values. What does not go through this way is sent in
the compiled form, whose answer tells why: a swap is a short cut for what is fine, never a second opinion.
"""

from collections.abc import Sequence

from bursar.dynamo.engine.compare_and_swap import Swap
from bursar.dynamo.items.attribute_values import Item
from bursar.rules.judging.local_rules import canonical_item, differing_attributes
from bursar.rules.judging.plan import RulesPlan
from bursar.rules.judging.sentinels import sentinel_item
from bursar.rules.judging.unique_and_parent import UniqueValue
from bursar.rules.language.writes import Delete, LogicalWrite, Put, Update


def swaps_of(plan: RulesPlan, writes: Sequence[LogicalWrite]) -> list[Swap]:
    """(old, new) of each item that ``writes`` change and of each sentinel; empty when nothing changes.

    Raises ``ValueError`` for what only the compiled form has words for. Two writes at one key, an item that is not as
    its caller read it, and whatever a rule refuses are told by the swap itself, which then does not go through.
    """
    swaps: list[Swap] = []
    taken: dict[str, Item] = {}
    given: dict[str, Item] = {}
    for write in writes:
        old, new, changed = _old_and_new(write)
        kind = plan.kind_of(new or old or {})
        if kind is None:
            raise ValueError("an item of no kind")
        if changed is not None and not changed:
            continue
        swaps.append((old, new))
        for unique in (kind.on_creation if changed is None else kind.touched_by(changed)).unique_values:
            before, after = unique.given_up_and_taken(old, new)
            if before is not None and old is not None:
                given[before] = _sentinel(plan, before, unique, old)
            if after is not None and new is not None:
                if after in taken:
                    raise ValueError("a value taken twice")
                taken[after] = _sentinel(plan, after, unique, new)
    # One that stands otherwise (who wrote bypassed the rules) fails the swap.
    swaps += [(given.pop(partition, None), sentinel) for partition, sentinel in taken.items()]
    swaps += [(sentinel, None) for sentinel in given.values()]
    return swaps


def _old_and_new(write: LogicalWrite) -> tuple[Item | None, Item | None, frozenset[str] | None]:
    """(old, new, the attributes that differ), ``new`` with canonical numbers: unique values are compared as text.

    What is stored is canonical, so an ``old`` that is not fails the swap, and with it what it shares with ``new``.
    """
    match write:
        case Put(item):
            return None, canonical_item(item), None
        case Update(old, new):
            look = old.get
            # An item made of another shares with it what is the same.
            other = {name: value for name, value in new.items() if look(name) is not value}
            normal = canonical_item(other)
            changed = differing_attributes(old, normal)
            if not old.keys() <= new.keys():
                changed += [name for name in old if name not in new]
            return old, new if normal is other else {**new, **normal}, frozenset(changed)
        case Delete(old):
            return old, None, None


def _sentinel(plan: RulesPlan, partition: str, unique: UniqueValue, owner: Item) -> Item:
    return sentinel_item(plan.key_names, plan.kind_attribute, partition, unique.rule.name, plan.key(owner))
