"""The books: a recorded change survives the death of the process, and damage is reported."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.paygov.simulator import Books, BooksError, Entry


def entry(token: str, agency_tracking_id: str = "a1", amount: str = "60.00") -> Entry:
    return Entry(
        token=token,
        tcs_app_id="APP",
        agency_tracking_id=agency_tracking_id,
        amount=Decimal(amount),
        url_success="https://a/s",
        url_cancel="https://a/c",
        started_at=1_000.25,
    )


def write_three(path: Path) -> None:
    """Record three collections: one completed, one paid, one only started."""
    books = Books(path)
    for token in ("t1", "t2", "t3"):
        books.start(entry(token, agency_tracking_id=f"a{token}"))
    for token in ("t1", "t2"):
        found = books.entry(token)
        assert found is not None
        books.pay(found, "ACH", "Success", 1_001.0)
    first = books.entry("t1")
    assert first is not None
    books.complete(first, "P1", 1_002.0)
    books.close()


def test_the_books_are_the_same_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "books.jsonl"
    write_three(path)
    books = Books(path)
    assert len(books) == 3
    assert [charge.paygov_tracking_id for charge in books.charges("at1")] == ["P1"]
    assert books.charges("at2") == books.charges("at3") == ()
    assert [charge.amount for charge in books.all_charges()] == [Decimal("60.00")]
    assert books.entry_of_paygov_id("P1") is books.entry("t1")
    second = books.entry("t2")
    assert second is not None
    assert (second.payment_type, second.outcome, second.completed_at) == ("ACH", "Success", None)
    books.complete(second, "P2", 1_003.0)
    assert len(books.charges_for(["at1", "at2", "at3"])) == 2
    books.close()


def test_a_return_and_a_classification_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    books = Books(path)
    first = replace(entry("t1"), classification=[["1234567", "60.00"]])
    books.start(first)
    books.pay(first, "ACH", "Success", 1_001.0)
    books.complete(first, "P1", 1_002.0)
    books.return_debit(first, 1_004.0)
    books.close()
    books = Books(path)
    assert books.entry("t1") == first
    assert [charge.returned_at for charge in books.all_charges()] == [1_004.0]
    books.close()


def test_an_incomplete_last_line_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    write_three(path)
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for length in range(last, len(whole)):
        path.write_bytes(whole[:length])
        books = Books(path)
        assert len(books) == 3
        assert books.charges("at1") == ()
        torn = books.entry("t1")
        assert torn is not None
        books.complete(torn, "P9", 2_000.0)
        books.close()
        again = Books(path)
        assert [charge.paygov_tracking_id for charge in again.charges("at1")] == ["P9"]
        again.close()


def test_an_incomplete_first_line_means_empty_books(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    path.write_bytes(b'{"form')
    Books(path).close()
    assert path.read_bytes() == b'{"format":1}\n'


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b"[]\n",
        b"{}\n",
        b'{"event":"unheard of"}\n',
        b'{"event":"paid","token":"nobody","at":1,"payment_type":"ACH","outcome":"Success"}\n',
        b'{"event":"started","token":"x"}\n',
    ],
)
def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "books.jsonl"
    write_three(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], line, *lines[2:]]))
    with pytest.raises(BooksError, match=r"books.jsonl, line 3 is damaged"):
        Books(path)
    assert path.read_bytes().splitlines(keepends=True)[3:] == lines[2:], "a damaged journal is left as it is"


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    path.write_bytes(b'{"format":2}\n{"event":"telepathy"}\n')
    with pytest.raises(BooksError, match="format 2"):
        Books(path)


def test_books_belong_to_one_process(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    books = Books(path)
    with pytest.raises(BooksError, match="in use"):
        Books(path)
    books.close()
    Books(path).close()


def test_a_folder_that_cannot_be_written_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BooksError, match="cannot be written"):
        Books(tmp_path / "file" / "books.jsonl")


def test_a_full_disk_leaves_the_journal_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "books.jsonl"
    books = Books(path)
    books.start(entry("t1"))
    really_write = os.write
    monkeypatch.setattr(os, "write", lambda file, whole: really_write(file, whole[:7]))
    with pytest.raises(OSError, match="full"):
        books.start(entry("t2"))
    monkeypatch.undo()
    assert books.entry("t2") is None
    books.start(entry("t3"))
    books.close()
    again = Books(path)
    assert len(again) == 2
    again.close()


def test_a_killed_process_leaves_every_line_it_wrote(tmp_path: Path) -> None:
    """Kill a process with -9 while it prints a line after each charge: the books must hold every printed charge."""
    path = tmp_path / "books.jsonl"
    program = (
        "import sys; from decimal import Decimal; from bursar.paygov.simulator import Books, Entry\n"
        f"books = Books({str(path)!r})\n"
        "for number in range(1_000_000):\n"
        "    entry = Entry(token=str(number), tcs_app_id='A', agency_tracking_id='a', amount=Decimal(1),"
        " url_success='', url_cancel='', started_at=0.0)\n"
        "    books.start(entry); books.pay(entry, 'ACH', 'Success', 0.0); books.complete(entry, f'P{number}', 0.0)\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [int(process.stdout.readline()) for _ in range(300)]
    process.kill()
    said += [int(line) for line in process.stdout.read().splitlines() if line]
    process.wait()
    process.stdout.close()
    books = Books(path)
    charged = {charge.paygov_tracking_id for charge in books.charges("a")}
    books.close()
    assert {f"P{number}" for number in said} <= charged


def test_a_failed_payment_is_not_a_charge() -> None:
    books = Books()
    failed = entry("t1")
    books.start(failed)
    books.pay(failed, "PLASTIC_CARD", "Failed", 1.0)
    books.complete(failed, "P1", 1.0)
    assert books.charges("a1") == ()
    assert list(books.all_charges()) == []


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(agency_tracking_id=WORDS, url=WORDS, amount=st.decimals("0.01", "999999999.99", places=2))
def test_any_text_survives_the_journal(
    tmp_path_factory: pytest.TempPathFactory, agency_tracking_id: str, url: str, amount: Decimal
) -> None:
    path = tmp_path_factory.mktemp("books") / "books.jsonl"
    books = Books(path)
    kept = entry("t1", agency_tracking_id, str(amount))
    kept.url_success = url
    books.start(kept)
    books.close()
    again = Books(path)
    assert again.entries(agency_tracking_id) == (kept,)
    again.close()


def test_the_journal_is_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    write_three(path)
    first, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert first == {"format": 1}
    assert [line["event"] for line in lines] == ["started"] * 3 + ["paid"] * 2 + ["completed"]
