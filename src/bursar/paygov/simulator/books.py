"""The simulator's books: every collection that it started, kept in a journal, and every charge.

Each change appends one line of JSON, which is written to the operating system before the reply is sent. The simulator
replays the journal at start. So the books have every charge that a reply has reported, even if the simulator is killed.
A power cut may lose lines: the journal is not fsynced, because the simulator is for tests.

    {"format": 1}
    {"event": "started",   "token": …, "at": …, "tcs_app_id": …, "agency_tracking_id": …, "amount": "60.00", …}
    {"event": "paid",      "token": …, "at": …, "payment_type": "ACH", "outcome": "Success"}
    {"event": "completed", "token": …, "at": …, "paygov_tracking_id": …}
    {"event": "returned",  "token": …, "at": …}
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from bursar.private_files import make_private_folder

FORMAT = 1
ENTRIES_MAX = 5_000_000
SUCCESS, FAILED = OUTCOMES = ("Success", "Failed")
"""The final states of a payment. The payer chooses one when paying."""


class BooksError(Exception):
    """The books cannot be used: they are used by another process, damaged, of a newer format, not writable or full.

    The text is one line.
    """


@dataclass(slots=True)
class Entry:
    """One token and its collection. Times are Unix seconds; ``None``: not yet."""

    token: str
    tcs_app_id: str
    agency_tracking_id: str
    amount: Decimal
    url_success: str
    url_cancel: str
    started_at: float
    payment_type: str | None = None
    outcome: str | None = None
    paid_at: float | None = None
    paygov_tracking_id: str | None = None
    completed_at: float | None = None
    returned_at: float | None = None
    classification: list[list[str]] | None = None  # [[id, amount], …]


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge of a payer: a completed collection that is, or will be, a success.

    ``returned_at`` is when the payer's bank returned the debit, None if it did not.
    """

    agency_tracking_id: str
    paygov_tracking_id: str
    token: str
    tcs_app_id: str
    amount: Decimal
    payment_type: str
    at: float
    returned_at: float | None = None


class Books:
    """All entries, in memory and (with a path) in a journal.

    Raises BooksError if the journal at ``path`` cannot be used. An incomplete last line, which a kill -9 in the middle
    of a write leaves, is removed: its reply was never sent.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self._by_token: dict[str, Entry] = {}
        self._by_agency_id: dict[str, list[Entry]] = {}
        self._by_paygov_id: dict[str, Entry] = {}
        self._journal: int | None = None
        self._journal_bytes = 0
        if path is not None:
            self._journal = _open_journal(Path(path))
            try:
                self._replay(Path(path))
            except BaseException:
                self.close()
                raise

    def __len__(self) -> int:
        return len(self._by_token)

    def entry(self, token: str) -> Entry | None:
        """Return the entry of a token; None if there is none."""
        return self._by_token.get(token)

    def entry_of_paygov_id(self, paygov_tracking_id: str) -> Entry | None:
        """Return the completed entry with a Pay.gov tracking id; None if there is none."""
        return self._by_paygov_id.get(paygov_tracking_id)

    def entries(self, agency_tracking_id: str) -> tuple[Entry, ...]:
        """Return the entries of one agency tracking id, oldest first: several if it was started several times."""
        return tuple(self._by_agency_id.get(agency_tracking_id, ()))

    def charges(self, agency_tracking_id: str) -> tuple[Charge, ...]:
        """Return the charges of one attempt: none, one, or several (an error of the portal)."""
        return tuple(_charges(self._by_agency_id.get(agency_tracking_id, ())))

    def charges_for(self, agency_tracking_ids: Iterable[str]) -> tuple[Charge, ...]:
        """Return the charges of several attempts, such as all the attempts at one obligation."""
        return tuple(charge for each in agency_tracking_ids for charge in self.charges(each))

    def completed(self) -> Iterator[Entry]:
        """Return every completed collection, in the order in which they were started."""
        return (entry for entry in self._by_token.values() if entry.completed_at is not None)

    def all_charges(self) -> Iterator[Charge]:
        """Return every charge, in the order in which the collections were started."""
        return _charges(self._by_token.values())

    def start(self, entry: Entry) -> None:
        """Record a new collection. Raises BooksError if there are ENTRIES_MAX already."""
        if len(self._by_token) >= ENTRIES_MAX:
            raise BooksError(f"the simulator's books are full: {ENTRIES_MAX} collections")
        self._append(
            event="started",
            token=entry.token,
            at=entry.started_at,
            tcs_app_id=entry.tcs_app_id,
            agency_tracking_id=entry.agency_tracking_id,
            amount=str(entry.amount),
            url_success=entry.url_success,
            url_cancel=entry.url_cancel,
            **({"classification": entry.classification} if entry.classification else {}),
        )
        self._remember(entry)

    def pay(self, entry: Entry, payment_type: str, outcome: str, at: float) -> None:
        """Record how the payer paid, and the outcome that the later complete will have. This charges no payer yet."""
        self._append(event="paid", token=entry.token, at=at, payment_type=payment_type, outcome=outcome)
        entry.payment_type, entry.outcome, entry.paid_at = payment_type, outcome, at

    def complete(self, entry: Entry, paygov_tracking_id: str, at: float) -> None:
        """Record that the collection is completed. This charges the payer."""
        self._append(event="completed", token=entry.token, at=at, paygov_tracking_id=paygov_tracking_id)
        entry.paygov_tracking_id, entry.completed_at = paygov_tracking_id, at
        self._by_paygov_id[paygov_tracking_id] = entry

    def return_debit(self, entry: Entry, at: float) -> None:
        """Record that the payer's bank returned a settled debit. The charge stays in the books, with its return."""
        self._append(event="returned", token=entry.token, at=at)
        entry.returned_at = at

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            os.close(self._journal)
            self._journal = None

    def _append(self, **line: Any) -> None:
        if self._journal is None:
            return
        whole = orjson.dumps(line) + b"\n"
        if os.write(self._journal, whole) != len(whole):
            # A full disk may accept a part of a line, which would damage the journal if lines followed it. So it is
            # removed.
            os.ftruncate(self._journal, self._journal_bytes)
            raise OSError("the disk that holds the simulator's books is full")
        self._journal_bytes += len(whole)

    def _remember(self, entry: Entry) -> None:
        self._by_token[entry.token] = entry
        self._by_agency_id.setdefault(entry.agency_tracking_id, []).append(entry)

    def _replay(self, path: Path) -> None:
        assert self._journal is not None
        whole_bytes = 0
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    break
                self._replay_line(path, number, line)
                whole_bytes += len(line)
        os.ftruncate(self._journal, whole_bytes)
        if whole_bytes == 0:
            whole_bytes = os.write(self._journal, orjson.dumps({"format": FORMAT}) + b"\n")
        self._journal_bytes = whole_bytes

    def _replay_line(self, path: Path, number: int, line: bytes) -> None:
        try:
            record = orjson.loads(line)
            if number == 1:
                _check_format(path, record["format"])
            else:
                _REPLAY[record.pop("event")](self, **record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BooksError(f"{path}, line {number} is damaged: {type(error).__name__}") from error

    def _replay_started(self, *, token: str, at: float, amount: str, **rest: Any) -> None:
        self._remember(Entry(token=token, started_at=at, amount=Decimal(amount), **rest))

    def _replay_paid(self, *, token: str, at: float, payment_type: str, outcome: str) -> None:
        entry = self._by_token[token]
        entry.payment_type, entry.outcome, entry.paid_at = payment_type, outcome, at

    def _replay_completed(self, *, token: str, at: float, paygov_tracking_id: str) -> None:
        entry = self._by_token[token]
        entry.paygov_tracking_id, entry.completed_at = paygov_tracking_id, at
        self._by_paygov_id[paygov_tracking_id] = entry

    def _replay_returned(self, *, token: str, at: float) -> None:
        self._by_token[token].returned_at = at


_REPLAY: Final[Mapping[str, Callable[..., None]]] = {
    "started": Books._replay_started,
    "paid": Books._replay_paid,
    "completed": Books._replay_completed,
    "returned": Books._replay_returned,
}


def _charges(entries: Iterable[Entry]) -> Iterator[Charge]:
    for entry in entries:
        if entry.completed_at is None or entry.outcome != SUCCESS:
            continue
        assert entry.paygov_tracking_id is not None
        assert entry.payment_type is not None
        yield Charge(
            agency_tracking_id=entry.agency_tracking_id,
            paygov_tracking_id=entry.paygov_tracking_id,
            token=entry.token,
            tcs_app_id=entry.tcs_app_id,
            amount=entry.amount,
            payment_type=entry.payment_type,
            at=entry.completed_at,
            returned_at=entry.returned_at,
        )


def _open_journal(path: Path) -> int:
    try:
        make_private_folder(path.parent)
        journal = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BooksError(f"the simulator's books cannot be written: {path}: {error.strerror}") from error
    try:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(journal)
        raise BooksError(f"the simulator's books are in use by another process: {path}") from error
    return journal


def _check_format(path: Path, found: Any) -> None:
    if not isinstance(found, int) or found > FORMAT:
        raise BooksError(f"{path} has format {found}; this Bursar reads up to {FORMAT}")
