"""Upload an activity file: a dry run, a kept run, files that are refused with a reason, and forms that are."""

import gzip
import os
import tempfile
from pathlib import Path

import pytest

from bursar.dashboard import multipart
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.sign_in.roles import Role
from tests.support.dashboard.office import Office, Page, Visitor
from tests.support.dashboard.reconciled import line_of_attempt, processed, stranger
from tests.support.reports.activity import write_csv

PATH = "/dashboard/reconciliation/upload"
BOUNDARY = "x--7f"
BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'
HEAD = b"agency_tracking_id,paygov_tracking_id,amount,status,date\r\n"


def form(fields: dict[str, str], files: dict[str, tuple[str, bytes]]) -> bytes:
    """Return a form as a browser sends it."""
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    parts += [
        f'name="{name}"; filename="{given}"\r\nContent-Type: text/csv\r\n\r\n'.encode() + content
        for name, (given, content) in files.items()
    ]
    begin = f"--{BOUNDARY}\r\nContent-Disposition: form-data; ".encode()
    return b"".join(begin + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def visitor(office: Office, role: Role | Account = "finance") -> Visitor:
    return office.visitor(role, portal=office.portal())


async def send(browser: Visitor, body: bytes) -> Page:
    headers = {"origin": f"http://{browser.host}", "content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    return await browser.send("POST", PATH, body, headers)


async def upload(browser: Visitor, content: bytes, name: str = "day.csv", *, keep: str = "yes", **fields: str) -> Page:
    await browser.get(PATH)
    assert browser.last is not None
    return await send(
        browser,
        form({"csrf": browser.last.csrf, "keep": keep, **fields}, {"file": (name, content), "mapping": ("", b"")}),
    )


def lines(office: Office, folder: Path) -> bytes:
    """Return a file with a line that agrees, another amount, and a stranger."""
    first, second = processed(office)[:2]
    found = [line_of_attempt(first), line_of_attempt(second, "59.99"), stranger(1, "2026-08-03")]
    write_csv(folder / "lines.csv", found)
    return (folder / "lines.csv").read_bytes()


async def test_a_file_is_compared_kept_and_named_in_the_access_log(busy_office: Office, tmp_path: Path) -> None:
    content = lines(busy_office, tmp_path)
    page = await upload(visitor(busy_office), content, "../../etc/day 1.csv")
    [(run, signed)] = await busy_office.ledger.reconciliations.runs()
    assert (page.status, page.header("location")) == (303, f"/dashboard/reconciliation/{run.run_id}")
    assert signed is None
    assert ([each.name for each in run.files], run.by, run.files[0].size) == (["day 1.csv"], "finance", len(content))
    assert run.totals["matched"][0] == 1
    assert run.totals["missing_here"][0] == 1
    assert run.differences == 1 + run.totals["amount_differs"][0] + run.totals.get("missing_there", (0, 0))[0]
    [entry] = [each for each in busy_office.visitor_log("changed") if "file" in each.detail]
    assert (entry.detail["file"], entry.detail["sha256"]) == ("day 1.csv", run.files[0].sha256)


async def test_a_dry_run_shows_the_same_and_keeps_nothing(busy_office: Office, tmp_path: Path) -> None:
    page = await upload(visitor(busy_office, "operator"), lines(busy_office, tmp_path), keep="no")
    assert page.status == 200
    assert "This is a dry run." in page.text
    assert "zz1" in page.text
    assert await busy_office.ledger.reconciliations.runs() == []
    assert "/sign-off" not in page.text


async def test_a_mapping_and_the_days_are_used(busy_office: Office) -> None:
    paid = processed(busy_office)[0]
    content = f"Ours;Summe;Zustand\n{paid.agency_tracking_id};{paid.amount};gut\n".encode()
    mapping = b'delimiter = ";"\n[columns]\nagency_tracking_id = "Ours"\namount = "Summe"\nstatus = "Zustand"\n'
    mapping += b'[statuses]\ngut = "processed"\n'
    browser = visitor(busy_office)
    await browser.get(PATH)
    assert browser.last is not None
    fields = {"csrf": browser.last.csrf, "keep": "yes", "from": "2026-08-01", "to": "2026-08-02"}
    page = await send(browser, form(fields, {"file": ("f.csv", content), "mapping": ("m.toml", mapping)}))
    assert page.status == 303
    [(run, _)] = await busy_office.ledger.reconciliations.runs()
    assert (run.first_day, run.last_day, run.totals["matched"][0]) == ("2026-08-01", "2026-08-02", 1)
    refused = await send(browser, form(fields, {"file": ("f.csv", content), "mapping": ("m.toml", b"[rules]\n")}))
    assert refused.status == 400
    assert "rules[0]" in refused.text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(BOMB, "must not have a DTD", id="entities"),
        pytest.param(b"<a><b></a>", "must be well-formed XML", id="not-well-formed"),
        pytest.param(HEAD + b"a,\xff\xfe,60.00,Success,2026-08-03\r\n", "must be text in utf-8-sig", id="not-utf-8"),
        pytest.param(b"PK\x03\x04" + bytes(100), "The file is ZIP.", id="zip"),
        pytest.param(gzip.compress(HEAD), "The file is gzip.", id="gzip"),
        pytest.param(b"", "The file is empty.", id="empty"),
        pytest.param(b"name,value\r\nx,y\r\n", "The file cannot be read to its end", id="other-columns"),
        pytest.param(HEAD + b'"' + b"x" * 200_000, "The file cannot be read to its end", id="endless-line"),
    ],
)
async def test_a_file_that_cannot_be_used_is_refused_with_its_reason(
    office: Office, content: bytes, reason: str
) -> None:
    page = await upload(visitor(office), content)
    assert page.status == 400
    assert reason in page.text
    assert await office.ledger.reconciliations.runs() == []


async def test_no_file_and_half_of_the_days_are_refused(office: Office) -> None:
    browser = visitor(office)
    page = await upload(browser, HEAD, **{"from": "2026-08-01"})
    assert "both or none" in page.text
    assert browser.last is not None
    page = await send(browser, form({"csrf": browser.last.csrf}, {"file": ("", b"")}))
    assert (page.status, "A file must be chosen." in page.text) == (400, True)


async def test_a_file_that_is_too_large_is_refused_and_not_kept(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(multipart, "UPLOAD_BYTES_MAX", 10_000)
    page = await upload(visitor(office), HEAD + b"x" * 20_000)
    assert page.status == 413
    assert "bursar reconcile" in page.text
    assert [each for each in os.scandir(tmp_path) if each.name.startswith("bursar-")] == []


async def test_a_form_without_its_token_writes_no_file(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("no file may be written")

    monkeypatch.setattr(multipart._Reader, "_open", opened)
    browser = visitor(office)
    await browser.get(PATH)
    for body in (
        form({}, {"file": ("a.csv", HEAD)}),
        form({"csrf": "0" * 64}, {"file": ("a.csv", HEAD)}),
        form({"csrf": ""}, {}),
    ):
        assert (await send(browser, body)).status == 403


@pytest.mark.parametrize("body", [b"", b"nonsense", form({"csrf": "x"}, {})[:40], b"--x--7f\r\n" + b"a" * 20_000])
async def test_what_is_no_form_is_refused(office: Office, body: bytes) -> None:
    browser = visitor(office)
    await browser.get(PATH)
    assert (await send(browser, body)).status in (400, 403)


async def test_an_account_with_limits_uploads_nothing(office: Office) -> None:
    browser = visitor(office, Account("ada", frozenset({"finance"}), clients=frozenset({"dawson"})))
    assert (await browser.get(PATH)).status == 403
    await browser.get("/dashboard/transactions")
    assert browser.last is not None
    assert (await send(browser, form({"csrf": browser.last.csrf}, {"file": ("a.csv", HEAD)}))).status == 403
