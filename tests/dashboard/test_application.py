"""Every answer has the security headers, and no page has a script or a style in it."""

import re

import pytest

from bursar.dashboard.route_table import ROUTES
from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.sign_in.roles import EVERY_ROLE
from bursar.dashboard.site import PREFIX
from tests.support.dashboard.office import Office
from tests.support.dashboard.receiver import FakeReceiver

EVERYONE = Account("ada", EVERY_ROLE)
NAMES = ("client", "reference", "attempt", "name", "form", "view", "query", "run", "number")
FIELDS = dict.fromkeys(NAMES, "x")
PATHS = sorted({PREFIX + route.path.format_map(FIELDS) for route in ROUTES if route.method == "GET"})
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style\b|\sstyle=|\son\w+=", re.IGNORECASE)


@pytest.fixture
async def paths(office: Office) -> list[str]:
    """Return every path that a browser may open, and some that are no page."""
    attempt = await office.initiated("PETITION_FILING_FEE", "60.00", docketNumber="1-26")
    payment = f"{PREFIX}/payments/{attempt.client}/{attempt.reference}"
    report = f"{PREFIX}/reports/trend?since=2026-09-01"
    return [*PATHS, payment, report, f"{PREFIX}/none", f"{PREFIX}/static/none"]


async def test_every_answer_has_the_security_headers_and_no_inline_code(office: Office, paths: list[str]) -> None:
    webhooks = await office.webhooks(FakeReceiver())
    browser = office.visitor(EVERYONE, portal=office.portal(), sandbox=office.sandbox(), webhooks=webhooks)
    for path in paths:
        page = await browser.get(path)
        policy = page.header("content-security-policy")
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'"), (path, page.status)
        assert "unsafe" not in policy, path
        assert page.header("x-content-type-options") == "nosniff", path
        assert page.header("x-frame-options") == "DENY", path
        assert INLINE.findall(page.text) == [], path


def test_inline_code_is_noticed() -> None:
    assert INLINE.search("<script>x</script>")
    assert INLINE.search('<p style="color: red">')
    assert INLINE.search('<a onclick="x()">')
    assert not INLINE.search('<script src="/a.js" defer></script><p class="style">one</p>')
