"""Reading files: each record is a checked line or a named problem, nothing is lost, and hostile input does no harm."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bursar.reports.errors import BadParameter
from bursar.reports.reconciliation.lines import ActivityLine, LineProblem
from bursar.reports.reconciliation.mapping import FileMapping, letters
from bursar.reports.reconciliation.reading import ReadFile, read_file
from bursar.reports.reconciliation.xml_records import CHUNK_BYTES, TOKEN_BYTES_MAX
from tests.support.reports.activity import Line, write_csv, write_xml

RECORD = """<item_detail_record id="1">
  <paygov_tracking_id>3FPA</paygov_tracking_id> <transaction_status>Success</transaction_status>
  <transaction_date>2026-11-27T10:30:00</transaction_date><transaction_amount>60.00</transaction_amount>
  <deposit_ticket_number>123456</deposit_ticket_number><Name_Field>Grace &amp; Co</Name_Field>
</item_detail_record>"""
DOCUMENT = f'<?xml version="1.0"?><a><credit_card>{RECORD}</credit_card><ach_debit>{RECORD}</ach_debit>{RECORD}</a>'
HEADER = "Agency Tracking ID,Pay.gov Tracking ID,Transaction Amount,Transaction Status\n"


def read(
    folder: Path, content: bytes | str, mapping: FileMapping | None = None
) -> tuple[ReadFile, list[ActivityLine | LineProblem]]:
    path = folder / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    described, lines = read_file(path, 0, mapping or FileMapping())
    return described, list(lines)


def problems(found: list[ActivityLine | LineProblem]) -> list[tuple[int, str]]:
    return [(each.line, each.problem) for each in found if isinstance(each, LineProblem)]


def test_xml_has_groups_of_records(tmp_path: Path) -> None:
    described, found = read(tmp_path, DOCUMENT)
    lines = [each for each in found if isinstance(each, ActivityLine)]
    assert [line.method for line in lines] == ["PLASTIC_CARD", "ACH", None]
    first = lines[0]
    assert (first.paygov_id, first.agency_id, first.cents, first.day) == ("3FPA", None, 6000, "2026-11-27")
    assert (first.kind, first.status, first.status_word) == ("charge", "processed", "Success")
    assert (first.deposit_ticket, first.line, lines[1].line) == ("123456", 1, 5)
    assert (described.records, described.cents, described.problems, described.broken) == (3, 18_000, 0, None)
    assert described.sha256 == hashlib.sha256(DOCUMENT.encode()).hexdigest()
    assert described.size == len(DOCUMENT)


def test_names_of_elements_may_have_prefixes_and_another_case(tmp_path: Path) -> None:
    namespaced = DOCUMENT.replace("<a>", '<a xmlns="urn:x">').replace("transaction_amount", "Transaction_Amount")
    assert read(tmp_path, namespaced)[0].cents == 18_000


@pytest.mark.parametrize("form", [write_csv, write_xml])
def test_the_same_lines_are_the_same_in_each_form(tmp_path: Path, form: Callable[..., Path]) -> None:
    lines = [Line(f"a{n}", f"P{n}", amount=f"{n}.50") for n in range(5)]
    _, found = read(tmp_path, form(tmp_path / "x", lines).read_bytes())
    assert [(each.agency_id, each.paygov_id, each.cents) for each in found] == [
        (f"a{n}", f"P{n}", n * 100 + 50) for n in range(5)
    ]


def test_columns_are_found_by_name_in_any_order(tmp_path: Path) -> None:
    _, (line,) = read(
        tmp_path, "\ufeffSTATUS,other,amount,PAYGOV TRACKING ID,agency_tracking_id\nSuccess,x,$1,P1,A1\n\n"
    )
    assert isinstance(line, ActivityLine)
    assert (line.agency_id, line.paygov_id, line.cents, line.status, line.day) == ("A1", "P1", 100, "processed", None)


def test_a_bad_record_is_named_and_keeps_what_is_readable(tmp_path: Path) -> None:
    described, found = read(
        tmp_path, HEADER + "A1,P1,60.005,Success\nA2,P2,60.00,\nA3,P3,60.00,Success\nA4\n\nA5,\x07,1.00,Success\n"
    )
    rule = "amount: must be dollars such as 60.00, with at most two decimals and at most 999999999.99; got '60.005'"
    assert problems(found) == [
        (2, rule),
        (3, "status: must be given; got none"),
        (5, "the line: must have 4 values, as the line with the columns; got 1"),
        (7, "Pay.gov tracking id: must be at most 255 printable characters; got '\\x07'"),
    ]
    kept = [(each.agency_id, each.cents) for each in found]
    assert kept == [("A1", None), ("A2", 6000), ("A3", 6000), ("A4", None), ("A5", None)]
    assert (described.records, described.problems, described.cents) == (5, 4, 12_000)


def test_bytes_that_are_no_text_spoil_their_line_only(tmp_path: Path) -> None:
    _, found = read(tmp_path, HEADER.encode() + b"A\xff,P,1.00,Success\nA2,P2,1.00,Success\n")
    assert [each.line for each in found if isinstance(each, LineProblem)] == [2]
    assert isinstance(found[1], ActivityLine)


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("", 1, "the file: must begin with a line that names the columns; got nothing"),
        ("Agency Tracking ID,Amount\n", 1, "the columns: must have one for status; a mapping can name it"),
        ("Internal Server Error", 1, "the columns: must have one for amount and one for status"),
        (HEADER.replace("Agency Tracking ID", "amount"), 1, "the columns: must have one column for amount; got 2"),
        (HEADER + "A,P,1.00,Success\n" + "x" * 70_000, 3, "the line: must have at most 65536 characters"),
        (HEADER + 'A,P,1.00,"Success\n' + "B,P,1.00,Success\n" * 30, 2, "a record: must have at most 20 lines"),
        (DOCUMENT[:-4], 13, "must be well-formed XML"),
        ("<a>" * 40, 1, "elements: must be nested at most 32 deep"),
        (f"<a><item_detail_record>{RECORD}", 1, "a record: must have at most 1000 fields and no other record"),
        ("<item_detail_record>" + "<x/>" * 2000, 1, "a record: must have at most 1000 fields"),
    ],
)
def test_a_broken_file_is_named_at_the_line_where_it_breaks(
    tmp_path: Path, content: str, line: int, reason: str
) -> None:
    described, found = read(tmp_path, content)
    last = found[-1]
    assert isinstance(last, LineProblem)
    assert (last.line, last.problem.startswith(reason)) == (line, True), last
    assert last.problem.endswith("; nothing after it was read")
    assert described.broken is not None
    assert described.sha256 == hashlib.sha256(content.encode()).hexdigest()


def test_what_comes_before_a_break_is_read(tmp_path: Path) -> None:
    described, found = read(tmp_path, DOCUMENT[:-4])
    assert (described.records, len(found)) == (3, 4)


@pytest.mark.parametrize(
    "hostile",
    [
        '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><a>&b;</a>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    ],
)
def test_a_dtd_is_refused_before_it_can_declare_anything(tmp_path: Path, hostile: str) -> None:
    _, found = read(tmp_path, hostile)
    assert problems(found) == [
        (1, "the XML: must not have a DTD, which can declare entities; nothing after it was read")
    ]


def test_a_tag_without_an_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    described, found = read(tmp_path, "<a b='" + "x" * (TOKEN_BYTES_MAX + 3 * CHUNK_BYTES + 400_000))
    assert problems(found)[0][1].startswith(f"a tag: must have at most {TOKEN_BYTES_MAX} bytes")
    assert described.size == TOKEN_BYTES_MAX + 3 * CHUNK_BYTES + 400_006


def test_a_long_text_and_a_field_given_twice_are_problems_of_their_record(tmp_path: Path) -> None:
    long = RECORD.replace("Success", "S" * 10_000)
    twice = RECORD.replace("<transaction_date>", "<transaction_amount>1.00</transaction_amount><transaction_date>")
    _, found = read(tmp_path, f"<a>{long}{twice}{RECORD}</a>")
    assert [text for _, text in problems(found)] == [
        "status: must have at most 255 characters",
        "amount: must be given once",
    ]
    assert isinstance(found[2], ActivityLine)


def test_a_mapping_reads_another_form_of_xml(tmp_path: Path) -> None:
    mapping = FileMapping(
        record=letters("Voucher"),
        groups={letters("SF5515"): "ACH"},
        columns={"amount": ("amt",), "status": ("state",), "paygov_tracking_id": ("item",)},
    )
    _, (line,) = read(
        tmp_path, "<x><SF5515><Voucher><item>P</item><amt>1</amt><state>Settled</state></Voucher></SF5515></x>", mapping
    )
    assert isinstance(line, ActivityLine)
    assert (line.method, line.cents, line.status) == ("ACH", 100, "processed")


def test_unknown_words_and_negative_charges_have_no_meaning(tmp_path: Path) -> None:
    header = HEADER.rstrip() + ",Transaction Type\n"
    _, found = read(tmp_path, header + "A,P,-1.00,Success,Sale\nB,Q,1.00,Gone,Sale\nC,R,1.00,Success,Gift\n")
    lines = [each for each in found if isinstance(each, ActivityLine)]
    assert [(line.kind, line.status) for line in lines] == [(None, "processed"), ("charge", None), (None, "processed")]


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="absent: cannot be read: No such file"):
        read_file(tmp_path / "absent", 0, FileMapping())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=400), st.text(max_size=200).map(lambda text: (HEADER + text).encode("utf-8", "replace"))
    )
)
def test_any_bytes_are_read_to_the_end_without_an_error(tmp_path: Path, content: bytes) -> None:
    described, found = read(tmp_path, content)
    assert described.size == len(content)
    assert described.records == len(found) - (described.broken is not None)
    assert described.cents == sum(each.cents or 0 for each in found)
