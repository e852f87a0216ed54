"""The reference model: the meaning of each rule over whole states, sharing no code with what it judges.

``broken(rules, holds, before, after)`` returns the names of the rules that the step from one state (key → item) to the
next breaks. ``holds`` are the predicates' meanings in Python, so that DynamoDB's expression language is judged too.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from bursar.rules import (
    Agrees,
    AppendOnly,
    BoundedSum,
    Check,
    Immutable,
    References,
    Rules,
    Transitions,
    TwoActors,
    Unique,
    UniqueWhile,
    WriteOnce,
)  # fmt: skip

State = Mapping[tuple[str, str], Mapping[str, Any]]
Meaning = Callable[[Mapping[str, Any]], bool]


def broken(rules: Rules, holds: Mapping[str, Meaning], before: State, after: State) -> set[str]:
    """Return the names of the rules that the step from ``before`` to ``after`` breaks."""
    steps = [(before.get(k), after.get(k)) for k in {**before, **after} if before.get(k) != after.get(k)]
    kinds = {kind.name: kind for kind in rules.kinds}
    found = {"kind" for old, new in steps for x in (old, new) if x and x["kind"].get("S") not in kinds}
    found |= {"kind" for old, new in steps if old and new and old["kind"] != new["kind"]}
    found |= {"kept" for old, new in steps if new is None and old and kinds[old["kind"]["S"]].kept}
    for rule in rules.rules:
        about = [x for x in after.values() if rule.kind in (None, x["kind"].get("S"))]
        moved = [(o, n) for o, n in steps if rule.kind in (None, (n or o or {})["kind"].get("S"))]
        changed = [(o, n) for o, n in moved if o and n]
        match rule:
            case Unique() | UniqueWhile():
                live = about if isinstance(rule, Unique) else [x for x in about if holds[rule.name](x)]
                values = [repr([x[a] for a in rule.attributes]) for x in live if all(a in x for a in rule.attributes)]
                types = {t for x in about for a in rule.attributes if a in x for t in x[a]}
                bad = max(Counter(values).values(), default=0) > 1 or not types <= {"S", "N", "B"}
            case Transitions(attribute=a):
                paths = [((o or {}).get(a, {}).get("S"), n.get(a, {}).get("S")) for o, n in moved if n]
                starts = product((None,), rule.initial)
                bad = (
                    any(o != n and (o, n) not in rule.edges for o, n in set(paths) - set(starts))
                    or (None, None) in paths
                )
            case Immutable():
                bad = any(altered(rule, a, o, n) for o, n in changed for a in rule.attributes)
            case WriteOnce():
                bad = any(a in o and o[a] != n.get(a) for o, n in changed for a in rule.attributes)
            case Check():
                bad = not all(holds[rule.name](x) for x in about)
            case References():
                names = rule.attributes if isinstance(rule, Agrees) else ()
                bad = any(parentless(rule, names, x, after) for x in about) or any(
                    o and o["kind"]["S"] == rule.parent and (n is None or any(altered(rule, a, o, n) for a in names))
                    for o, n in steps
                )
                bad = bad or (isinstance(rule, BoundedSum) and unbalanced(rule, about, after))
            case TwoActors(first=a, second=b):
                bad = any(o.get(a) != n.get(a) or (b in o and o[b] != n.get(b)) for o, n in changed)
                bad = bad or any(same_or_no_people([x[name] for name in (a, b) if name in x]) for x in about)
            case AppendOnly():
                bad = any(o for o, _ in moved)
        found |= {rule.name} if bad else set()
    return found


def parentless(rule: References, names: tuple[str, ...], child: Mapping[str, Any], state: State) -> bool:
    """Return whether ``child`` has no parent that agrees with it in ``names``."""
    if any("S" not in child.get(name, {"S": ""}) for name in rule.key_attributes):
        return True
    if any(name not in child for name in rule.key_attributes):
        return False
    fill = {name: child[name]["S"] for name in rule.key_attributes}
    parent = state.get((rule.key["pk"].format(**fill), rule.key["sk"].format(**fill)))
    if parent is None or parent["kind"] != {"S": rule.parent}:
        return True
    return any(
        child.get(name) != parent.get(name) and not (name in getattr(rule, "erasable", ()) and name not in parent)
        for name in names
    )


def altered(rule: Any, name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether an immutable attribute changes, other than by an erasure that the rule allows."""
    return old.get(name) != new.get(name) and not (name in getattr(rule, "erasable", ()) and name not in new)


def unbalanced(rule: BoundedSum, children: list[Mapping[str, Any]], state: State) -> bool:
    """Return whether a child has no positive amount, or a parent's total is not its children's sum within its limit."""
    if any(int(child.get(rule.amount, {}).get("N", 0)) <= 0 for child in children):
        return True
    for (pk, sk), parent in state.items():
        if parent["kind"] == {"S": rule.parent}:
            amounts = [int(child[rule.amount]["N"]) for child in children if is_parent(rule, child, pk, sk)]
            most = parent.get(rule.limit, {}).get("N", "-1") if rule.total in parent else "0"
            total = parent.get(rule.total, {"N": "0"}).get("N", "-1")
            if int(total) != sum(amounts) or int(total) > int(most):
                return True
    return False


def is_parent(rule: References, child: Mapping[str, Any], pk: str, sk: str) -> bool:
    """Return whether the key (pk, sk) is that of the child's parent."""
    if any("S" not in child.get(name, {}) for name in rule.key_attributes):
        return False
    fill = {name: child[name]["S"] for name in rule.key_attributes}
    return (rule.key["pk"].format(**fill), rule.key["sk"].format(**fill)) == (pk, sk)


def same_or_no_people(names: list[Mapping[str, Any]]) -> bool:
    """Return whether one of ``names`` is not a text with a letter, or two of them differ only in case or spaces."""
    folded = [name.get("S", "").lower().strip() for name in names]
    return "" in folded or len(set(folded)) < len(folded)
