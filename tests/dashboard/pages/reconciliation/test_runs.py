"""The pages of reconciliations: numbers, links to payments, CSV, sign-off once, and the count on the overview."""

import csv
import io
import re
from collections import Counter
from html import unescape
from pathlib import Path

import pytest

from bursar.dashboard.formatting import eastern
from bursar.dashboard.pages.reconciliation import runs
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.text.catalogue import LANGUAGES, Language, text_in
from bursar.payments.ledger.store_records.reconciliations import ReconciliationRun
from bursar.reports.reconciliation.classes import CLASSES
from tests.support.dashboard.office import HOSTILE, Office
from tests.support.dashboard.reconciled import keep_planted_run, keep_run, line_of_attempt, processed, stranger

HISTORY = "/dashboard/reconciliation"


def of(run: ReconciliationRun, more: str = "") -> str:
    return f"{HISTORY}/{run.run_id}{more}"


def body_rows(text: str, table: str) -> list[list[str]]:
    """Return the texts of the cells of a table's body, row by row."""
    body = text[text.index(f'id="{table}"') :].partition("<tbody>")[2].partition("</tbody>")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
    return [[" ".join(unescape(re.sub(r"<[^>]*>", " ", cell)).split()) for cell in row] for row in cells]


async def test_the_history_has_each_run_with_its_numbers_newest_first(busy_office: Office, tmp_path: Path) -> None:
    agreeing = await keep_run(busy_office, tmp_path / "a.csv", [line_of_attempt(processed(busy_office)[0])], by="Bob")
    planted = await keep_planted_run(busy_office, tmp_path)
    await busy_office.ledger.reconciliations.sign_off(planted.run_id, by="Eve", reason="explained")
    page = await busy_office.visitor("auditor").get(HISTORY)
    [first, second] = body_rows(page.text, "runs")
    titles = text_in("en")
    expected = " ".join(
        f"{titles(f'reconciliation.classes.{each.name}')}: {count:,} · ${cents / 100:,.2f}"
        for each in CLASSES
        for count, cents in [planted.totals.get(each.name, (0, 0))]
        if each.is_difference and count
    )
    assert first[1:] == ["Ada", "activity=1.csv", "4", f"1 · ${processed(busy_office)[0].amount:,.2f}", expected, "Eve"]
    assert (second[1], second[5], second[6]) == ("Bob", "Everything agrees", "–")
    assert page.text.index(of(planted)) < page.text.index(of(agreeing))


async def test_the_history_has_pages(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "RUNS_SHOWN_MAX", 2)
    kept = [await keep_run(office, tmp_path / "a.csv", [stranger(1, "2026-08-03")]) for _ in range(5)]
    browser, target, seen = office.visitor("finance"), HISTORY, []
    while target:
        page = await browser.get(target)
        seen += re.findall(rf"{HISTORY}/([\w-]+)", page.text)
        found = re.search(r'rel="next" href="([^"]*)"', page.text)
        target = found[1] if found else ""
    assert seen == [each.run_id for each in reversed(kept)]


async def test_a_run_has_its_totals_and_links_to_its_payments(busy_office: Office, tmp_path: Path) -> None:
    run = await keep_planted_run(busy_office, tmp_path)
    page = await busy_office.visitor("approver").get(of(run))
    texts = text_in("en")
    assert body_rows(page.text, "classes") == [
        [
            texts(f"reconciliation.classes.{each.name}"),
            f"{run.totals[each.name][0]:,}",
            f"${run.totals[each.name][1] / 100:,.2f}",
            texts(f"reconciliation.todo.{each.name}"),
        ]
        for each in CLASSES
        if each.name in run.totals
    ]
    by_class = Counter[str]()
    for row in body_rows(page.text, "days"):
        by_class[row[1]] += int(row[2])
    assert by_class == {texts(f"reconciliation.classes.{name}"): count for name, (count, _) in run.totals.items()}
    other = processed(busy_office)[1]
    assert f"/dashboard/payments/{other.client}/{other.reference}" in page.text
    assert page.text.count("<tr data-row>") == run.differences
    assert "&lt;script&gt;" in page.text
    assert HOSTILE not in page.text
    assert "\u202e" not in page.text
    assert [entry.target for entry in busy_office.visitor_log("viewed")] == [f"reconciliation {run.run_id}"]


async def test_the_sum_of_the_classes_is_that_of_the_files(busy_office: Office, tmp_path: Path) -> None:
    run = await keep_planted_run(busy_office, tmp_path)
    page = await busy_office.visitor("finance").get(of(run))
    foot = page.text.partition("<tfoot>")[2].partition("</tfoot>")[0]
    numbers = [re.sub(r"<[^>]*>", "", each) for each in re.findall(r'<td class="number"[^>]*>(.*?)</td>', foot)]
    whole = f"${run.files[0].cents / 100:,.2f}"
    assert numbers == ["4", whole, "4", whole]


async def test_differences_have_pages_and_a_class_can_be_chosen(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "ROWS_SHOWN_MAX", 3)
    lines = [stranger(number, "2026-08-03") for number in range(7)]
    run = await keep_run(office, tmp_path / "a.csv", [*lines, lines[0]])
    browser, target, seen = office.visitor("operator"), of(run, "?class=missing_here"), []
    while target:
        page = await browser.get(target)
        seen += re.findall(r"<bdi>(zz\d)</bdi>", page.text)
        found = re.search(r'rel="next" href="([^"#]*)', page.text)
        target = found[1].replace("&amp;", "&") if found else ""
    assert sorted(seen) == [f"zz{number}" for number in range(7)]
    assert run.totals["repeated"][0] == 1
    assert (await browser.get(of(run, f"?after={'9' * 5000}"))).status == 200


async def test_the_differences_are_exported_as_harmless_csv(busy_office: Office, tmp_path: Path) -> None:
    run = await keep_planted_run(busy_office, tmp_path)
    browser = busy_office.visitor("finance")
    page = await browser.get(of(run, "/differences.csv"))
    rows = list(csv.DictReader(io.StringIO(page.text)))
    assert tuple(rows[0]) == runs.COLUMNS
    assert Counter(row["class"] for row in rows) == {
        each.name: run.totals[each.name][0] for each in CLASSES if each.is_difference and each.name in run.totals
    }
    [other] = [row for row in rows if row["class"] == "amount_differs"]
    attempt = processed(busy_office)[1]
    assert (other["file_amount"], other["our_amount"]) == ("59.99", f"{attempt.amount:.2f}")
    assert (other["reference"], other["file"], other["line"]) == (attempt.reference, "activity=1.csv", "3")
    assert "\u202e" not in page.text
    chosen = await browser.get(of(run, "/differences.csv?class=amount_differs"))
    assert list(csv.DictReader(io.StringIO(chosen.text))) == [other]
    assert [entry.detail.get("class") for entry in busy_office.visitor_log("exported")] == [None, "amount_differs"]


@pytest.mark.parametrize("role", ["finance", "approver"])
async def test_a_run_is_signed_off_once_after_a_confirmation(busy_office: Office, tmp_path: Path, role: str) -> None:
    run = await keep_planted_run(busy_office, tmp_path)
    person = Account("grace", frozenset({"finance"} if role == "finance" else {"approver"}))
    browser = busy_office.visitor(person, portal=busy_office.portal())
    assert of(run, "/sign-off") in (await browser.get(of(run))).text
    form = await browser.get(of(run, "/sign-off"))
    assert "This cannot be undone" in form.text
    for reason in ("", "  ", "x" * 501):
        assert (await browser.post(of(run, "/sign-off"), {"reason": reason})).status == 400
    assert (await busy_office.ledger.reconciliations.find(run.run_id))[1] is None
    done = await browser.post(of(run, "/sign-off"), {"reason": "the stranger is the exams'"})
    assert (done.status, done.header("location")) == (303, of(run))
    _, signed = await busy_office.ledger.reconciliations.find(run.run_id)
    assert signed is not None
    assert (signed.by, signed.reason) == ("grace", "the stranger is the exams'")
    [entry] = busy_office.visitor_log("changed")
    assert (entry.target, entry.detail["change"]) == (f"reconciliation {run.run_id}", "reconciliation_sign_off")
    page = await browser.get(of(run))
    assert "Signed off by grace" in page.text
    assert of(run, "/sign-off") not in page.text
    assert (await browser.post(of(run, "/sign-off"), {"reason": "again"})).status == 409
    assert (await browser.get(of(run, "/sign-off"))).status == 303


async def test_pages_that_only_read_offer_no_sign_off(busy_office: Office, tmp_path: Path) -> None:
    run = await keep_planted_run(busy_office, tmp_path)
    browser = busy_office.visitor("finance")
    assert of(run, "/sign-off") not in (await browser.get(of(run))).text
    assert (await browser.get(of(run, "/sign-off"))).status == 404


async def test_the_overview_counts_runs_that_are_not_signed_off(busy_office: Office, tmp_path: Path) -> None:
    await keep_run(busy_office, tmp_path / "a.csv", [line_of_attempt(processed(busy_office)[0])])
    browser = busy_office.visitor("finance")
    assert "data-unsigned" not in (await browser.get("/dashboard/")).text
    runs = [await keep_planted_run(busy_office, tmp_path) for _ in range(2)]
    page = await browser.get("/dashboard/")
    assert 'data-unsigned="2">2 reconciliations with differences are not signed off' in page.text
    listed = await browser.get("/dashboard/attention")
    assert all(of(run) in listed.text for run in runs)
    await busy_office.ledger.reconciliations.sign_off(runs[0].run_id, by="Eve", reason="explained")
    assert 'data-unsigned="1">1 reconciliation with' in (await browser.get("/dashboard/")).text
    limited = Account("ada", frozenset({"finance"}), clients=frozenset({"dawson"}))
    for account in (Account("vic", frozenset({"viewer"})), limited):
        assert "data-unsigned" not in (await busy_office.visitor(account).get("/dashboard/")).text


async def test_runs_are_not_for_accounts_with_limits(busy_office: Office, tmp_path: Path) -> None:
    run = await keep_planted_run(busy_office, tmp_path)
    limited = Account("ada", frozenset({"finance"}), clients=frozenset({"dawson"}))
    browser = busy_office.visitor(limited, portal=busy_office.portal())
    await browser.get("/dashboard/")
    for target in (HISTORY, of(run), of(run, "/differences.csv"), of(run, "/sign-off")):
        assert (await browser.get(target)).status == 403, target
    assert (await browser.post(of(run, "/sign-off"), {"reason": "x"})).status == 403
    assert (await busy_office.ledger.reconciliations.find(run.run_id))[1] is None


async def test_an_unknown_run_does_not_exist(office: Office) -> None:
    browser = office.visitor("finance", portal=office.portal())
    for more in ("", "/differences.csv", "/sign-off"):
        assert (await browser.get(f"{HISTORY}/nothing{more}")).status == 404
    assert "There is no run yet" in (await browser.get(HISTORY)).text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_class_has_a_name_and_an_advice(language: Language) -> None:
    text = text_in(language)
    for group in ("classes", "todo"):
        assert {key.rpartition(".")[2] for key in text.texts if key.startswith(f"reconciliation.{group}.")} == {
            each.name for each in CLASSES
        }


async def test_a_past_day_has_the_runs_and_sign_offs_until_then(busy_office: Office, tmp_path: Path) -> None:
    first = await keep_planted_run(busy_office, tmp_path)
    day = eastern(first.at).date()
    busy_office.wall.pass_s(86_400)
    await busy_office.ledger.reconciliations.sign_off(first.run_id, by="Eve", reason="explained")
    second = await keep_run(busy_office, tmp_path / "b.csv", [line_of_attempt(processed(busy_office)[0])])
    busy_office.wall.pass_s(86_400)
    browser = busy_office.visitor("approver")
    now, then = await browser.get(HISTORY), await browser.get(f"{HISTORY}?as_of={day}")
    assert [row[-1] for row in body_rows(now.text, "runs")] == ["–", "Eve"]
    assert [row[-1] for row in body_rows(then.text, "runs")] == ["Not signed off"]
    assert "These are the runs and sign-offs until then" in then.text
    assert f"{of(first)}?as_of={day}" in then.text
    run = await browser.get(of(first, f"?as_of={day}"))
    assert ("explained" in run.text, of(first, "/sign-off") in run.text, f"as_of={day}&amp;class=" in run.text) == (
        False,
        False,
        True,
    )
    assert "explained" in (await browser.get(of(first))).text
    assert (await browser.get(of(second, f"?as_of={day}"))).status == 404
    wrong = await browser.get(f"{HISTORY}?as_of=tomorrow")
    assert (wrong.status, "as of: must" in wrong.text) == (400, True)
    assert "shown for the present alone" in (await browser.get("/dashboard/attention")).text
