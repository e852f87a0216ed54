"""Views: kept by name, shared with a role, removed by their owner, and never more than an account may see."""

import pytest

from bursar.dashboard.saved_views import VIEWS_MAX, SavedViews
from bursar.dashboard.sign_in.accounts import Account
from tests.support.dashboard.office import Office, Visitor

PATH = "/dashboard/transactions"


async def save(browser: Visitor, name: str, query: str, role: str = "") -> int:
    await browser.get(PATH)
    return (await browser.post("/dashboard/views", {"name": name, "query": query, "role": role})).status


async def test_a_view_is_kept_replaced_and_removed(office: Office) -> None:
    browser = office.visitor("finance")
    assert await save(browser, "Failures", "status=failed&evil=1&sort=token") == 303
    assert f'href="{PATH}?status=failed"' in (await browser.get(PATH)).text
    assert await save(browser, "Failures", "status=failed&code=40") == 303
    page = await browser.get(PATH)
    assert f'href="{PATH}?status=failed&amp;code=40"' in page.text
    assert page.text.count(">Failures<") == 1
    assert (await browser.post("/dashboard/views/1/remove")).status == 303
    assert "Failures" not in (await browser.get(PATH)).text


async def test_a_view_is_shared_with_a_role_and_only_its_owner_removes_it(office: Office) -> None:
    assert await save(office.visitor("finance"), "For auditors", "status=failed", "auditor") == 303
    auditor, viewer = office.visitor("auditor"), office.visitor("viewer")
    assert "For auditors" in (await auditor.get(PATH)).text
    assert "For auditors" not in (await viewer.get(PATH)).text
    assert (await auditor.post("/dashboard/views/1/remove")).status == 404
    assert "For auditors" in (await auditor.get(PATH)).text


@pytest.mark.parametrize("number", ["9" * 19, "9" * 5_000, "one"])
async def test_a_view_of_an_impossible_number_is_not_found(office: Office, number: str) -> None:
    browser = office.visitor("viewer")
    await browser.get(PATH)
    assert (await browser.post(f"/dashboard/views/{number}/remove")).status == 404


@pytest.mark.parametrize(("name", "role"), [("", ""), ("x" * 81, ""), ("x", "king")])
async def test_a_view_without_a_usable_name_or_role_is_refused(office: Office, name: str, role: str) -> None:
    assert await save(office.visitor("viewer"), name, "", role) == 400


async def test_a_person_has_a_bounded_number_of_views(office: Office) -> None:
    views = SavedViews(office.state)
    account = Account("viewer", frozenset({"viewer"}))
    for number in range(VIEWS_MAX):
        views.save(account, f"view {number}", "", None)
    assert await save(office.visitor("viewer"), "one more", "") == 409
    assert await save(office.visitor("viewer"), "view 1", "status=failed") == 303


async def test_the_name_of_a_view_is_text(office: Office) -> None:
    browser = office.visitor("viewer")
    await save(browser, "<script>alert(1)</script>", "")
    assert "<script>alert(1)" not in (await browser.get(PATH)).text
