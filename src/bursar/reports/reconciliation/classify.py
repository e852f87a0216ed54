"""Give each line of one group its class: all lines of one obligation, or of one collection that is not ours.

    lines ─► repeated? ─► one line for each state of each collection ─► compared with the attempt
                             └─ an earlier state: superseded            └─► charged twice? over the obligation

The result depends only on the lines and the payments, and not on their order.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple

from bursar.payments.status import FAILED, PENDING, PROCESSED
from bursar.reports.reconciliation import classes
from bursar.reports.reconciliation.classes import LineClass
from bursar.reports.reconciliation.lines import ActivityLine
from bursar.reports.reconciliation.our_payments import PaymentRow, ReversalRow

DAYS_APART: Final = 1
"""A line's date may be this many days outside of the attempt's life: clocks and cut-off times differ."""
_DIFFERENCES: Final = (classes.STATUS_DIFFERS, classes.AMOUNT_DIFFERS, classes.ID_DIFFERS, classes.DATE_DIFFERS)
"""The classes of a line that differs, the most important first."""


class GroupLine(NamedTuple):
    """A line with the attempt that it belongs to; ``rule``: the rule that found it, None for an id.

    ``line_id`` is the line's number in the working file.
    """

    line: ActivityLine
    ours: PaymentRow | None
    rule: str | None = None
    line_id: int = 0


class ClassifiedLine(NamedTuple):
    """The class of one line, and the reason in one line for a person."""

    found: GroupLine
    line_class: LineClass
    why: str = ""


class _Compared(NamedTuple):
    """A line that represents a state of a collection, and its differences: class → reason."""

    found: GroupLine
    differences: dict[LineClass, str]


def classify(group: Sequence[GroupLine], reversals: Mapping[str, Sequence[ReversalRow]]) -> list[ClassifiedLine]:
    """Return the verdict of each line of ``group``. ``reversals``: agency tracking id → the recorded reversals."""
    verdicts: list[ClassifiedLine] = []
    charges: list[_Compared] = []
    money_back: list[GroupLine] = []
    for collection in _by_collection(group, verdicts):
        states = _one_line_a_state(collection, verdicts)
        for status, found in states.items():
            if status == "returned" and _is_return(found, states):
                money_back.append(found)
            elif found.ours is None:
                verdicts.append(_missing_here(found))
            else:
                charges.append(_Compared(found, _differences(found, found.ours)))
    money_back += [each for each in _reversals(group, verdicts) if each is not None]
    verdicts += _judge_reversals(money_back, reversals)
    verdicts += _judge_charges(charges, _returned_attempts(money_back, reversals))
    return verdicts


def _by_collection(group: Sequence[GroupLine], verdicts: list[ClassifiedLine]) -> Iterable[list[GroupLine]]:
    """Return the charges of the group by collection. Lines that are not a known charge get their verdict here."""
    collections: dict[tuple[str | None, str | None], list[GroupLine]] = {}
    for number, found in enumerate(_ordered(group)):
        line = found.line
        if line.kind is None:
            sign = "a negative amount" if line.cents < 0 else f"the kind {line.kind_word!r}"
            verdicts.append(ClassifiedLine(found, classes.UNKNOWN, f"{sign}: the mapping must say what it is"))
        elif line.kind == "charge" and line.status is None:
            why = f"the status {line.status_word!r}: the mapping must say what it means"
            verdicts.append(ClassifiedLine(found, classes.UNKNOWN, why))
        elif line.kind == "charge":
            if found.ours is None:
                collection = (line.agency_id, line.paygov_id or (None if line.agency_id else str(number)))
            else:
                collection = (found.ours.agency_id, line.paygov_id or found.ours.paygov_id)
            collections.setdefault(collection, []).append(found)
    return collections.values()


def _one_line_a_state(collection: list[GroupLine], verdicts: list[ClassifiedLine]) -> dict[str, GroupLine]:
    """Return one line for each status of a collection. The others are repeated or superseded.

    The line that agrees best with the payment represents its state.
    """
    states: dict[str, GroupLine] = {}
    best_first = collection if len(collection) == 1 else sorted(collection, key=_by_agreement)
    for found in best_first:
        status = found.line.status
        assert status is not None, "a line with an unknown status has its verdict"
        if status in states:
            first = states[status].line
            other_word = status == "pending" and first.status_word != found.line.status_word
            repeated = ClassifiedLine(found, classes.REPEATED, f"as line {first.line}")
            verdicts.append(ClassifiedLine(found, classes.SUPERSEDED) if other_word else repeated)
        else:
            states[status] = found
    if "pending" in states and len(states) > 1:
        verdicts.append(ClassifiedLine(states.pop("pending"), classes.SUPERSEDED))
    return states


def _is_return(found: GroupLine, states: Mapping[str, GroupLine]) -> bool:
    """Return whether "Retired" means that a settled debit came back, and not that it never settled."""
    return found.ours is not None and (found.ours.status == PROCESSED or "processed" in states)


def _missing_here(found: GroupLine) -> ClassifiedLine:
    line = found.line
    if line.agency_id is None and line.paygov_id is None:
        return ClassifiedLine(found, classes.UNKNOWN, "it has no tracking id, and no rule finds one payment")
    return ClassifiedLine(found, classes.MISSING_HERE, f"{line.status_word}, and no attempt has this id")


def _differences(found: GroupLine, ours: PaymentRow) -> dict[LineClass, str]:
    line = found.line
    differences: dict[LineClass, str] = {}
    if _is_another_failure(line, ours):
        return differences
    if not _status_agrees(line.status, ours):
        unknown = ", outcome unknown" if ours.unknown else ""
        differences[classes.STATUS_DIFFERS] = f"{line.status_word} there, {ours.status}{unknown} here"
    if line.cents != ours.cents:
        differences[classes.AMOUNT_DIFFERS] = f"{_dollars(line.cents)} there, {_dollars(ours.cents)} here"
    if line.paygov_id and ours.paygov_id and line.paygov_id != ours.paygov_id:
        differences[classes.ID_DIFFERS] = f"{line.paygov_id} there, {ours.paygov_id} here"
    if line.day is not None and not _within(line.day, ours.created_on, ours.final_on):
        life = f"{ours.created_on} to {ours.final_on}" if ours.final_on else f"since {ours.created_on}"
        differences[classes.DATE_DIFFERS] = f"{line.day} there, {life} here"
    return differences


def _is_another_failure(line: ActivityLine, ours: PaymentRow) -> bool:
    """Return whether the line is a failed collection other than the recorded one, which charged no payer."""
    is_other = line.paygov_id is not None and ours.paygov_id is not None and line.paygov_id != ours.paygov_id
    return is_other and line.status in ("failed", "returned")


def _status_agrees(status: str | None, ours: PaymentRow) -> bool:
    if status == "processed":
        return ours.status == PROCESSED
    if status == "pending":
        return ours.status in (PENDING, PROCESSED)  # the file may be older than the settlement
    return ours.status == FAILED


def _within(day: str, first: str, last: str | None) -> bool:
    """Return whether ``day`` is in the attempt's life, or at most ``DAYS_APART`` outside of it."""
    if first <= day and (last is None or day <= last):
        return True
    nearest = first if day < first else last or day
    return abs((date.fromisoformat(day) - date.fromisoformat(nearest)).days) <= DAYS_APART


def _judge_charges(charges: list[_Compared], gone_back: set[str]) -> list[ClassifiedLine]:
    verdicts = []
    twice = _charged_twice(charges, gone_back)
    for compared in charges:
        found, differences = compared
        why = "; ".join(differences.values())
        if id(compared) in twice:
            verdicts.append(ClassifiedLine(found, classes.CHARGED_TWICE, f"besides {twice[id(compared)]}"))
            continue
        differing = next((each for each in _DIFFERENCES if each in differences), None)
        agreed = {"processed": classes.MATCHED, "pending": classes.IN_TRANSIT}
        line_class = differing or agreed.get(found.line.status or "", classes.NOT_COLLECTED)
        verdicts.append(ClassifiedLine(found, line_class, why or (f"by the rule {found.rule!r}" if found.rule else "")))
    return verdicts


def _charged_twice(charges: list[_Compared], gone_back: set[str]) -> dict[int, str]:
    """Return every charge of one obligation after the first, by identity, with the line of the first charge.

    The first charge is the recorded one. A charge that went back in full does not count.
    """
    paid = [
        each
        for each in charges
        if each.found.line.status == "processed"
        and each.found.ours is not None
        and each.found.ours.agency_id not in gone_back
    ]
    if len(paid) < 2:
        return {}
    first, *others = sorted(paid, key=lambda each: (not _is_recorded(each.found), _content(each.found)))
    name = first.found.line.paygov_id or f"line {first.found.line.line}"
    return {id(each): name for each in others}


def _is_recorded(found: GroupLine) -> bool:
    ours = found.ours
    assert ours is not None, "only lines of our attempts are compared"
    return ours.status == PROCESSED and found.line.paygov_id in (None, ours.paygov_id)


def _reversals(group: Sequence[GroupLine], verdicts: list[ClassifiedLine]) -> Iterable[GroupLine]:
    """Yield the lines of money that went back, without repeated ones, which get their verdict here."""
    seen: dict[tuple[object, ...], ActivityLine] = {}
    for found in _ordered([each for each in group if each.line.kind not in (None, "charge")]):
        line = found.line
        if line.content in seen and (line.agency_id or line.paygov_id):
            verdicts.append(ClassifiedLine(found, classes.REPEATED, f"as line {seen[line.content].line}"))
            continue
        seen[line.content] = line
        yield found


def reversal_kind(line: ActivityLine) -> str:
    """Return the kind of reversal of a line of money that went back."""
    return line.kind if line.kind and line.kind != "charge" else "returned"


def _judge_reversals(
    money_back: list[GroupLine], reversals: Mapping[str, Sequence[ReversalRow]]
) -> Iterable[ClassifiedLine]:
    """Yield the verdicts of lines of money that went back. Each recorded reversal answers one line."""
    left = {agency_id: list(recorded) for agency_id, recorded in reversals.items()}
    for found in sorted(money_back, key=lambda each: (_content(each), each.line.file, each.line.line)):
        line, ours = found.line, found.ours
        kind, cents = reversal_kind(line), abs(line.cents)
        if ours is None:
            yield _missing_here(found)
            continue
        if ours.status != PROCESSED:
            yield ClassifiedLine(found, classes.STATUS_DIFFERS, f"{kind} there, {ours.status} here")
            continue
        recorded = left.get(ours.agency_id, [])
        same = next((each for each in recorded if _is_same(each, kind, cents, line.day)), None)
        if same is not None:
            recorded.remove(same)
            yield ClassifiedLine(found, classes.REVERSED)
        elif kind == "returned" and any(each.kind == kind for each in reversals.get(ours.agency_id, ())):
            there = next(each for each in reversals[ours.agency_id] if each.kind == kind)
            why = f"returned {_dollars(cents)} there, {_dollars(there.cents)} here"
            yield ClassifiedLine(found, classes.AMOUNT_DIFFERS, why)
        else:
            yield ClassifiedLine(found, classes.REVERSAL_NOT_RECORDED, f"{kind} {_dollars(cents)}")


def _is_same(recorded: ReversalRow, kind: str, cents: int, day: str | None) -> bool:
    if (recorded.kind, recorded.cents) != (kind, cents):
        return False
    # A debit is returned once, so its date does not matter.
    return kind == "returned" or recorded.day is None or day is None or _within(day, recorded.day, recorded.day)


def _returned_attempts(money_back: list[GroupLine], reversals: Mapping[str, Sequence[ReversalRow]]) -> set[str]:
    """Return the attempts whose debit was returned, according to the file or the record."""
    there = {found.ours.agency_id for found in money_back if found.ours and reversal_kind(found.line) == "returned"}
    here = {name for name, recorded in reversals.items() if any(each.kind == "returned" for each in recorded)}
    return there | here


def _by_agreement(found: GroupLine) -> tuple[int, tuple[str, ...]]:
    """Return a key that orders lines by the number of their differences, then by their content."""
    return (0 if found.ours is None else len(_differences(found, found.ours)), _content(found))


def _ordered(group: Sequence[GroupLine]) -> Sequence[GroupLine]:
    """Return the lines by their content. Most groups have one line."""
    return group if len(group) < 2 else sorted(group, key=_content)


def _content(found: GroupLine) -> tuple[str, ...]:
    """Return a key that orders lines by their content, so that their order in the files does not matter."""
    return tuple("" if value is None else str(value) for value in found.line.content)


def _dollars(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"
