"""Operations: what the page shows, to whom, and what it counts."""

import re
from pathlib import Path

from bursar.dashboard.upkeep_notes import UpkeepNotes
from bursar.reports.lake.upkeep import UpkeepFile
from tests.support.dashboard.office import Office


async def test_operations_show_each_dependency_and_what_is_due(office: Office) -> None:
    await office.initiated("PETITION_FILING_FEE", "60.00", docketNumber="1-26")
    office.wall.pass_s(5 * 3600)
    page = await office.visitor("operator", portal=office.portal(), workers=3).get("/dashboard/operations")
    assert page.status == 200
    assert '<dd id="workers">3</dd>' in page.text
    for name in ("Store", "Clients", "Pay.gov", "Secrets"):
        assert f'<th scope="row">{name}</th>' in page.text
    assert '<dd id="due">1</dd>' in page.text
    assert "The lake is empty" in page.text
    alone = await office.visitor("auditor", workers=3).get("/dashboard/operations")
    assert (alone.status, 'id="workers"' in alone.text) == (200, False)  # the portal is another process


async def test_the_lakes_lag_is_the_time_since_it_was_complete(office: Office, tmp_path: Path) -> None:
    await office.initiated("PETITION_FILING_FEE", "60.00", docketNumber="1-26")
    await office.reports.write_lake()
    record = UpkeepFile(tmp_path / "lake-upkeep.json")
    office.wall.pass_s(86_400)
    browser = office.visitor("operator", lake=record)
    page = await browser.get("/dashboard/operations")
    assert re.search(r'id="watermark"><time datetime="2026-08-03T', page.text)
    assert 'id="lag"' not in page.text  # no process has recorded it
    record.note_complete(office.wall())
    office.wall.pass_s(125)
    assert '<dd id="lag">2 min 5 s;' in (await browser.get("/dashboard/operations")).text


async def test_operations_show_the_last_audit_and_the_last_backup(office: Office, tmp_path: Path) -> None:
    notes = UpkeepNotes(tmp_path)
    browser = office.visitor("operator", upkeep=notes)
    assert (await browser.get("/dashboard/operations")).text.count("Not run on this server yet") == 3
    notes.keep("backup", office.wall(), target="s3://copies/<b>.db")
    notes.keep("chain_audit", office.wall(), findings=300, lines=["altered: <i>"])
    page = await browser.get("/dashboard/operations")
    assert "s3://copies/&lt;b&gt;.db" in page.text
    assert "300 findings" in page.text
    assert "altered: &lt;i&gt;" in page.text
    assert "This list is cut." in page.text
    assert page.text.count("Not run on this server yet") == 1
