"""Signing in and out, forms of other sites, guessing of passwords, and the choices that a browser remembers."""

from pathlib import Path

import pytest

from bursar.dashboard.application import dashboard_app
from bursar.dashboard.sign_in.accounts import Account, AccountsFile, with_password
from bursar.dashboard.sign_in.throttle import FAILURES_PER_NAME_MAX, WINDOW_S
from tests.support.dashboard.office import Office, Visitor

PASSWORD = "correct horse battery"
SIGN_IN = "/dashboard/sign-in"


@pytest.fixture
def accounts(tmp_path: Path) -> AccountsFile:
    accounts = AccountsFile(tmp_path / "accounts.json")
    accounts.save(with_password(Account("ada", frozenset({"finance"})), PASSWORD))
    return accounts


@pytest.fixture
def browser(office: Office, accounts: AccountsFile) -> Visitor:
    """Return a browser in which no person has signed in."""
    return Visitor(dashboard_app(office.parts(accounts)))


async def sign_in(browser: Visitor, password: str = PASSWORD, **fields: str) -> int:
    await browser.get(SIGN_IN)
    return (await browser.post(SIGN_IN, {"name": "ada", "password": password, **fields})).status


async def test_the_right_password_leads_to_the_page_that_was_asked_for(browser: Visitor) -> None:
    asked = await browser.get("/dashboard/transactions?q=failed")
    form = await browser.get(asked.header("location"))
    assert "Sign in" in form.text
    following = {"next": "/dashboard/transactions?q=failed"}
    page = await browser.post(SIGN_IN, {"name": "ada", "password": PASSWORD, **following})
    assert (page.status, page.header("location")) == (303, "/dashboard/transactions?q=failed")
    cookie = next(value for name, value in page.headers if name == "set-cookie" and value.startswith("bursar_session="))
    assert {"HttpOnly", "Path=/dashboard", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}
    assert (await browser.get("/dashboard/transactions")).status == 200


@pytest.mark.parametrize("following", ["https://evil.example/", "//evil.example", "/dashboard/\\evil.example", "/init"])
async def test_no_sign_in_leads_to_another_site(browser: Visitor, following: str) -> None:
    await browser.get(SIGN_IN)
    page = await browser.post(SIGN_IN, {"name": "ada", "password": PASSWORD, "next": following})
    assert page.header("location") == "/dashboard/"


async def test_a_wrong_password_and_an_unknown_name_look_the_same(browser: Visitor) -> None:
    await browser.get(SIGN_IN)
    wrong = await browser.post(SIGN_IN, {"name": "ada", "password": "wrong"})
    unknown = await browser.post(SIGN_IN, {"name": "bob", "password": "wrong"})
    assert wrong.status == unknown.status == 401
    assert "Name or password is wrong" in wrong.text
    assert wrong.text.replace('value="ada"', "") == unknown.text.replace('value="bob"', "")


async def test_guessing_is_slowed_down_until_the_window_is_over(browser: Visitor, office: Office) -> None:
    await browser.get(SIGN_IN)
    for _ in range(FAILURES_PER_NAME_MAX):
        assert (await browser.post(SIGN_IN, {"name": "ada", "password": "wrong"})).status == 401
    page = await browser.post(SIGN_IN, {"name": "ada", "password": PASSWORD})
    assert page.status == 429
    assert 0 < int(page.header("retry-after")) <= WINDOW_S
    office.wall.pass_s(WINDOW_S + 1)
    assert await sign_in(browser) == 303


async def test_a_session_that_was_planted_before_the_sign_in_is_not_used(browser: Visitor) -> None:
    browser.cookies["bursar_session"] = "planted"
    assert await sign_in(browser) == 303
    assert browser.cookies["bursar_session"] != "planted"


async def test_signing_out_ends_the_session_also_for_a_copy_of_the_cookie(browser: Visitor) -> None:
    await sign_in(browser)
    copied = dict(browser.cookies)
    await browser.get("/dashboard/transactions")
    assert (await browser.post("/dashboard/sign-out")).status == 303
    browser.cookies = copied
    assert (await browser.get("/dashboard/transactions")).status == 303


async def test_signing_out_everywhere_ends_the_sessions_of_other_browsers(browser: Visitor) -> None:
    other = Visitor(browser.app)
    await sign_in(other)
    await sign_in(browser)
    await browser.get("/dashboard/transactions")
    await browser.post("/dashboard/sign-out-everywhere")
    assert (await other.get("/dashboard/transactions")).status == 303


async def test_a_form_without_its_token_or_from_another_site_changes_nothing(browser: Visitor) -> None:
    await sign_in(browser)
    await browser.get("/dashboard/transactions")
    assert (await browser.post("/dashboard/sign-out", {"csrf": ""})).status == 403
    assert (await browser.post("/dashboard/sign-out", {"csrf": "0" * 64})).status == 403
    assert (await browser.post("/dashboard/sign-out", origin="https://evil.example")).status == 403
    for site in ("cross-site", "same-site", "none"):
        assert (await browser.post("/dashboard/sign-out", sec_fetch_site=site)).status == 403
    assert (await browser.get("/dashboard/transactions")).status == 200


async def test_the_token_of_one_session_is_worthless_in_another(browser: Visitor) -> None:
    other = Visitor(browser.app)
    await sign_in(other)
    stolen = (await other.get("/dashboard/transactions")).csrf
    await sign_in(browser)
    assert (await browser.post("/dashboard/sign-out", {"csrf": stolen})).status == 403


async def test_another_host_name_is_refused(browser: Visitor) -> None:
    browser.host = "rebound.example"
    assert (await browser.get(SIGN_IN)).status == 403


async def test_behind_tls_cookies_are_secure_and_the_host_is_known(office: Office, accounts: AccountsFile) -> None:
    browser = Visitor(dashboard_app(office.parts(accounts, own_url="https://pay.example.gov")), host="pay.example.gov")
    page = await browser.get(SIGN_IN)
    assert "Secure" in page.header("set-cookie")
    assert "max-age=" in page.header("strict-transport-security")
    sent = {"name": "ada", "password": PASSWORD}
    assert (await browser.post(SIGN_IN, sent, origin="http://pay.example.gov")).status == 403
    assert (await browser.post(SIGN_IN, sent, origin="https://pay.example.gov")).status == 303


async def test_without_passwords_the_first_visit_is_the_developers(office: Office) -> None:
    browser = Visitor(dashboard_app(office.parts()))
    page = await browser.get("/dashboard/transactions")
    assert page.status == 200
    assert "developer" in page.text
    await browser.get(SIGN_IN)
    assert (await browser.post(SIGN_IN, {"name": "viewer"})).status == 303
    assert (await browser.get("/dashboard/transactions.csv")).status == 403


async def test_the_browser_remembers_language_and_theme(browser: Visitor) -> None:
    await browser.get(SIGN_IN)
    for choice in ({"language": "es"}, {"theme": "dark"}):
        page = await browser.post("/dashboard/preferences", {"back": SIGN_IN, **choice})
        assert (page.status, page.header("location")) == (303, SIGN_IN)
    page = await browser.get(SIGN_IN)
    assert '<html lang="es" data-theme="dark"' in page.text
    assert "Iniciar sesión" in page.text


async def test_a_browser_that_prefers_spanish_gets_spanish(browser: Visitor) -> None:
    assert 'lang="es"' in (await browser.get(SIGN_IN, accept_language="fr, es-MX;q=0.9, en;q=0.8")).text
    assert 'lang="en"' in (await browser.get(SIGN_IN, accept_language="fr")).text


@pytest.mark.parametrize(
    ("own_url", "peer", "logged"),
    [
        ("https://pay.example.gov", "127.0.0.1", "203.0.113.7"),
        ("https://pay.example.gov", "198.51.100.9", "198.51.100.9"),
        (None, "127.0.0.1", "127.0.0.1"),
    ],
)
async def test_only_a_proxy_on_this_machine_names_the_address_of_a_person(
    office: Office, accounts: AccountsFile, own_url: str | None, peer: str, logged: str
) -> None:
    host = "127.0.0.1:8080" if own_url is None else "pay.example.gov"
    browser = Visitor(dashboard_app(office.parts(accounts, own_url=own_url)), host=host, peer=peer)
    await browser.get(SIGN_IN)
    sent = {"name": "ada", "password": PASSWORD}
    origin = own_url or f"http://{host}"
    assert (await browser.post(SIGN_IN, sent, origin=origin, x_forwarded_for="10.0.0.1, 203.0.113.7")).status == 303
    assert [entry.address for entry in office.visitor_log()] == [logged]


async def test_sign_ins_are_in_the_access_log(browser: Visitor, office: Office) -> None:
    await sign_in(browser, "wrong")
    await sign_in(browser)
    assert [entry.action for entry in office.visitor_log()] == ["sign_in_failed", "signed_in"]


@pytest.mark.parametrize("back", ["/dashboard/\u20ac", "/dashboard/\r\nset-cookie: a=b"])
async def test_a_redirect_of_a_part_of_a_page_is_a_valid_header(browser: Visitor, back: str) -> None:
    await browser.get(SIGN_IN)
    page = await browser.post("/dashboard/preferences", {"theme": "dark", "back": back}, hx_request="true")
    assert page.status == 204
    assert page.header("hx-redirect").startswith("/dashboard/%")
