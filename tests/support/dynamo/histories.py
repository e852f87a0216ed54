"""Judge whether a recorded history of several clients was possible, by two judges and the models that they use.

:func:`linearizable` is Wing and Gong's search, with Lowe's memory of tried states. It looks for one order of the calls
in which a sequential model gives every client's answer, and no call is before its invocation or after its answer.
Sources: Wing and Gong, "Testing and verifying concurrent objects", 1993; Lowe, "Testing for linearizability", 2017.

:func:`append_anomalies` judges larger histories of transactions that append to lists and read several lists. The lists
show the order of the transactions, and a cycle among them means that no serial order explains them. Source: Kingsbury
and Alvaro, "Elle: inferring isolation anomalies from experimental observations", 2020.

    client 1   ├──── write 1 ────┤               ├─ read → 2 ─┤
    client 2          ├──── write 2 ──── ┄┄┄ no answer: at any moment from its call on, or never
               tick 0 …                                  … now
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

NEVER = 1 << 60
"""The time of the answer of a call that was never answered."""
NONE = "none"


@dataclass(frozen=True)
class Call:
    """One call as its client saw it. ``answer`` has no meaning when ``answered`` is NEVER."""

    client: str
    action: Any  # hashable
    invoked: int
    answered: int
    answer: Any = None


Model = Callable[[Any, Any], tuple[Any, Any]]
"""(state, action) → (next state, answer), one call after another."""


def linearizable(history: Sequence[Call], model: Model, state: Hashable) -> bool:
    """Return whether some order of the calls explains every answer.

    ``state`` is the state at the beginning; states must be hashable. The time grows with the calls that overlap, and
    doubles with each call that was never answered.
    """
    known = sorted((call for call in history if call.answered != NEVER), key=lambda call: call.invoked)
    doubtful = [call for call in history if call.answered == NEVER]
    # The calls in the order so far: all known calls before the first number, later ones as bits, doubtful ones as bits.
    waiting: list[tuple[int, int, int, Hashable]] = [(0, 0, 0, state)]
    tried = set(waiting)
    while waiting:
        first, more, doubts, state = waiting.pop()
        while more & 1:
            first, more = first + 1, more >> 1
        if first == len(known):
            return True
        deadline, steps = NEVER, []
        for place in range(first, len(known)):
            call = known[place]
            if call.invoked > deadline:
                break
            if more >> (place - first) & 1:
                continue
            deadline = min(deadline, call.answered)
            after, answer = model(state, call.action)
            if answer == call.answer:
                steps.append((first, more | 1 << (place - first), doubts, after))
        for number, call in enumerate(doubtful):
            if call.invoked < deadline and not doubts >> number & 1:
                after, _ = model(state, call.action)
                # A doubtful call that changes nothing need not be in the order.
                if after != state:
                    steps.append((first, more, doubts | 1 << number, after))
        # The last one in is tried first: calls with answers before those without.
        for step in reversed(steps):
            if step not in tried:
                tried.add(step)
                waiting.append(step)
    return False


def beginning(history: Sequence[Call], tick: int) -> list[Call]:
    """Return the history up to that moment: calls answered later have no answer yet."""
    begun = (call for call in history if call.invoked < tick)
    return [call if call.answered < tick else replace(call, answered=NEVER, answer=None) for call in begun]


def register(state: Any, action: Any) -> tuple[Any, Any]:
    """Model one item with one number: read, write, compare-and-set, add, delete.

    NONE means that the item does not exist.
    """
    kind, *arguments = action
    if kind == "read":
        return state, state
    if kind == "write":
        return arguments[0], state
    if kind == "delete":
        return NONE, state
    if kind == "add":
        total = (0 if state == NONE else state) + arguments[0]
        return total, total
    expected, new = arguments
    return (new, "ok") if state == expected else (state, ("refused", state))


def registers(state: Any, action: Any) -> tuple[Any, Any]:
    """Model several items under transactions.

    The actions are ``("get", keys)`` and ``("write", ((key, expected | None, new), …))``. The state is a tuple of (key,
    number) pairs; the answer to a write is "ok" or the items whose condition failed.
    """
    kind, arguments = action
    items = dict(state)
    if kind == "get":
        return state, tuple(items.get(key, NONE) for key in arguments)
    refused = tuple(key for key, expected, _ in arguments if expected is not None and items.get(key, NONE) != expected)
    if refused:
        return state, ("refused", refused)
    items.update({key: new for key, _, new in arguments})
    return tuple(sorted(items.items())), "ok"


@dataclass(frozen=True)
class Append:
    """A transaction that appends ``value`` to each of ``keys``."""

    value: int
    keys: tuple[str, ...]


@dataclass(frozen=True)
class ReadAll:
    """A transaction that reads ``keys``; its answer is a tuple of tuples, in their order."""

    keys: tuple[str, ...]


REFUSED = "refused"


def append_anomalies(history: Sequence[Call], final: dict[str, tuple[int, ...]]) -> list[str]:
    """Return the anomalies that no serial order explains. ``final`` has every list, read after the last call."""
    calls = {call.action.value: call for call in history if isinstance(call.action, Append)}
    readers = [call for call in history if isinstance(call.action, ReadAll) and call.answered != NEVER]
    anomalies = _value_faults(calls, final)
    for reader in readers:
        for key, seen in zip(reader.action.keys, reader.answer, strict=True):
            if final[key][: len(seen)] != seen:
                anomalies.append(f"{reader.client} read {key} as {seen[-3:]}, which is no beginning of what it became")
    if anomalies:
        return anomalies
    appeared = {value for values in final.values() for value in values}
    cycle = _cycle(_dependencies([calls[value] for value in sorted(appeared)], readers, final))
    return [f"a cycle of {len(cycle)}: {' → '.join(cycle[:12])}"] if cycle else []


def _value_faults(calls: dict[int, Call], final: dict[str, tuple[int, ...]]) -> list[str]:
    """Return the appends that are lost, doubled, torn, foreign, or present although they were rejected."""
    faults = []
    for key, values in final.items():
        if len(set(values)) != len(values):
            faults.append(f"{key} holds a value twice")
        faults.extend(f"{key} holds {value}, which nobody appended" for value in values if value not in calls)
    for value, call in calls.items():
        held = [key for key in call.action.keys if value in final[key]]
        if held and len(held) < len(call.action.keys):
            faults.append(f"{value} is torn: it is in {held} of {call.action.keys}")
        if call.answered != NEVER and call.answer == REFUSED and held:
            faults.append(f"{value} was refused and is there")
        if call.answered != NEVER and call.answer != REFUSED and not held:
            faults.append(f"{value} was acknowledged and is not there")
    return faults


Graph = dict[str, set[str]]


def _dependencies(appends: list[Call], readers: list[Call], final: dict[str, tuple[int, ...]]) -> Graph:
    """Return which transaction was before which: by the order of values, by what each read, and by the clock."""
    graph: Graph = defaultdict(set)
    for values in final.values():
        for earlier, later in pairwise(values):
            graph[f"append {earlier}"].add(f"append {later}")
    for number, reader in enumerate(readers):
        for key, seen in zip(reader.action.keys, reader.answer, strict=True):
            if seen:
                graph[f"append {seen[-1]}"].add(f"read {number}")
            if len(seen) < len(final[key]):
                graph[f"read {number}"].add(f"append {final[key][len(seen)]}")
    named = [(f"append {call.action.value}", call) for call in appends]
    named += [(f"read {number}", call) for number, call in enumerate(readers)]
    _add_clock(graph, named)
    return graph


def _add_clock(graph: Graph, named: list[tuple[str, Call]]) -> None:
    """Add the order of calls that do not overlap: a chain of moments, an edge or two for each call."""
    moments = [(call.answered, 1, name) for name, call in named if call.answered != NEVER]
    moments += [(call.invoked, 0, name) for name, call in named]
    last = "tick -"
    for tick, is_answer, name in sorted(moments):
        if is_answer:
            graph[name].add(f"tick {tick}")
            graph[last].add(f"tick {tick}")
            last = f"tick {tick}"
        else:
            graph[last].add(name)


def _cycle(graph: Graph) -> list[str]:
    """Return one cycle of the graph, or nothing."""
    incoming: dict[str, int] = defaultdict(int)
    for targets in graph.values():
        for target in targets:
            incoming[target] += 1
    free = [node for node in graph if not incoming[node]]
    left = set(graph) | set(incoming)
    while free:
        node = free.pop()
        left.discard(node)
        for target in graph.get(node, ()):
            incoming[target] -= 1
            if not incoming[target]:
                free.append(target)
    if not left:
        return []
    # Every remaining node has a remaining predecessor: walking backwards must reach a node twice.
    before = {target: node for node in left for target in graph.get(node, ()) if target in left}
    path, node = [], next(iter(sorted(left)))
    while node not in path:
        path.append(node)
        node = before[node]
    return path[path.index(node) :][::-1]
