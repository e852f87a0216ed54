"""Sign-in through an OpenID Connect provider: whom it lets in, and every way in which it must refuse."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bursar.dashboard.sign_in.accounts import Account, AccountsFile, with_password
from bursar.dashboard.sign_in.provider.started import STARTED_S_MAX
from bursar.dashboard.sign_in.sessions import SESSION_IDLE_S, SESSION_S_MAX
from bursar.dashboard.sign_in.throttle import FAILURES_PER_ADDRESS_MAX
from tests.support.dashboard.office import Office, Visitor
from tests.support.dashboard.provider import (
    CALLBACK,
    CLIENT_ID,
    ISSUER,
    SIGN_IN,
    Claims,
    FakeProvider,
    come_back,
    sign_in,
    signed_by_a_stranger,
    signed_with_a_shared_secret,
    unsigned,
    visitor_of,
)

HOME = "/dashboard/transactions"


def refusal(office: Office) -> str:
    """Return why the last sign-in failed, as the access log has it."""
    return str(office.visitor_log("sign_in_failed")[-1].detail["refusal"])


async def test_a_person_signs_in_and_comes_to_the_page_that_was_asked_for(
    browser: Visitor, fake: FakeProvider, office: Office
) -> None:
    assert "login.example.gov" in (await browser.get("/dashboard/sign-in")).text
    sent = await browser.get(SIGN_IN)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(sent.header("location")).query).items()}
    assert asked["redirect_uri"] == CALLBACK
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert "openid" in asked["scope"].split()
    assert min(map(len, (asked["state"], asked["nonce"], asked["code_challenge"]))) >= 43
    page = await come_back(browser, fake.approve(sent.header("location")))
    assert (page.status, page.header("location")) == (303, HOME)
    shown = await browser.get(HOME)
    assert "ada@example.gov" in shown.text
    assert (await browser.get("/dashboard/access-log")).status == 403
    [entry] = office.visitor_log("signed_in")
    assert (entry.name, entry.roles, entry.detail["provider"]) == ("ada@example.gov", ("finance",), "login.example.gov")


async def test_a_session_that_was_planted_before_the_sign_in_is_replaced(browser: Visitor, fake: FakeProvider) -> None:
    await sign_in(browser, fake)
    first = dict(browser.cookies)
    await sign_in(browser, fake)
    assert browser.cookies["bursar_session"] != first["bursar_session"]
    browser.cookies = first
    assert (await browser.get(HOME)).status == 303


# The answer -----------------------------------------------------------------------------------------------------------


async def test_another_state_is_refused(browser: Visitor, fake: FakeProvider, office: Office) -> None:
    for change in ({"state": "x" * 43}, {"state": ""}):
        sent = await browser.get(SIGN_IN)
        page = await come_back(browser, {**fake.approve(sent.header("location")), **change})
        assert page.status == 400
        assert "This sign-in cannot be used" in page.text
    assert refusal(office) == "provider_state"
    assert (await browser.get(HOME)).status == 303


async def test_an_answer_of_another_browser_is_refused(browser: Visitor, fake: FakeProvider) -> None:
    theirs = fake.approve((await browser.get(SIGN_IN)).header("location"))
    victim = Visitor(browser.app)
    assert (await come_back(victim, theirs)).status == 400
    await victim.get(SIGN_IN)
    assert (await come_back(victim, theirs)).status == 400
    assert (await victim.get(HOME)).status == 303


async def test_an_answer_is_used_once(browser: Visitor, fake: FakeProvider, office: Office) -> None:
    answer = fake.approve((await browser.get(SIGN_IN)).header("location"))
    cookies = dict(browser.cookies)
    assert (await come_back(browser, answer)).status == 303
    browser.cookies = dict(cookies)
    assert (await come_back(browser, answer)).status == 400
    assert refusal(office) == "provider_state"


async def test_a_code_that_was_used_before_is_refused_by_the_provider(
    browser: Visitor, fake: FakeProvider, office: Office
) -> None:
    used = fake.approve((await browser.get(SIGN_IN)).header("location"))
    await come_back(browser, used)
    browser.cookies.pop("bursar_session")
    fresh = fake.approve((await browser.get(SIGN_IN)).header("location"))
    page = await come_back(browser, {**fresh, "code": used["code"]})
    assert page.status == 400
    assert "invalid_grant" in page.text
    assert refusal(office) == "provider_code"


async def test_a_code_of_another_sign_in_fails_at_pkce(browser: Visitor, fake: FakeProvider) -> None:
    theirs = fake.approve((await Visitor(browser.app).get(SIGN_IN)).header("location"))
    ours = fake.approve((await browser.get(SIGN_IN)).header("location"))
    assert "invalid_grant" in (await come_back(browser, {**ours, "code": theirs["code"]})).text


async def test_a_sign_in_that_took_too_long_is_refused(browser: Visitor, fake: FakeProvider, office: Office) -> None:
    sent = await browser.get(SIGN_IN)
    office.wall.pass_s(STARTED_S_MAX)
    assert (await come_back(browser, fake.approve(sent.header("location")))).status == 400


@pytest.mark.parametrize("issuer", ["https://evil.example", None])
async def test_an_answer_of_another_provider_is_refused(
    browser: Visitor, fake: FakeProvider, issuer: str | None
) -> None:
    answer = fake.approve((await browser.get(SIGN_IN)).header("location"))
    changed = {**answer, "iss": issuer} if issuer else {name: answer[name] for name in ("code", "state")}
    page = await come_back(browser, changed)
    assert (page.status, "fails this check: iss" in page.text) == (400, True)
    assert "/token" not in fake.asked


async def test_a_refusal_of_the_provider_is_shown_as_text(browser: Visitor, fake: FakeProvider, office: Office) -> None:
    answer = fake.approve((await browser.get(SIGN_IN)).header("location"))
    page = await come_back(browser, {"state": answer["state"], "error": "<b>access_denied"})
    assert (page.status, "&lt;b&gt;access_denied" in page.text) == (403, True)
    assert refusal(office) == "provider_refused"


# The token -----------------------------------------------------------------------------------------------------------


def without(*names: str) -> Callable[[Claims], Claims]:
    return lambda claims: {name: value for name, value in claims.items() if name not in names}


def changed(**values: object) -> Callable[[Claims], Claims]:
    return lambda claims: {**claims, **values}


BAD_CLAIMS = {
    "nonce": changed(nonce="another"),
    "nonce is missing": without("nonce"),
    "aud": changed(aud="another client"),
    "azp": changed(aud=[CLIENT_ID, "another client"], azp="another client"),
    "azp is missing": changed(aud=[CLIENT_ID, "another client"]),
    "iss": changed(iss="https://evil.example"),
    "iss is missing": without("iss"),
    "exp": lambda claims: {**claims, "exp": claims["iat"] - 120},
    "exp is missing": without("exp"),
    "exp is no time": changed(exp="tomorrow"),
    "iat": lambda claims: {**claims, "iat": claims["iat"] + 3600},
    "sub is missing": without("sub"),
    "at_hash": changed(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
}


@pytest.mark.parametrize("name", BAD_CLAIMS)
async def test_a_token_that_is_not_for_this_sign_in_is_refused(
    browser: Visitor, fake: FakeProvider, office: Office, name: str
) -> None:
    fake.changes = BAD_CLAIMS[name]
    page = await sign_in(browser, fake)
    assert (page.status, "The proof of your sign-in is not valid" in page.text) == (400, True)
    assert refusal(office) == "provider_token"
    assert name.partition(" ")[0] in page.text
    assert (await browser.get(HOME)).status == 303


BAD_SIGNATURES: dict[str, Callable[[Claims], str]] = {
    "none": unsigned,
    "a shared secret": signed_with_a_shared_secret,
    "a stranger": signed_by_a_stranger,
    "no token": lambda claims: "x.y.z",
    "an empty text": lambda claims: "",
}


@pytest.mark.parametrize("name", BAD_SIGNATURES)
async def test_a_token_that_the_provider_has_not_signed_is_refused(
    browser: Visitor, fake: FakeProvider, office: Office, name: str
) -> None:
    fake.sign = BAD_SIGNATURES[name]
    page = await sign_in(browser, fake)
    assert page.status == 400
    assert refusal(office) == "provider_token"
    assert (await browser.get(HOME)).status == 303


async def test_a_new_key_of_the_provider_is_read_once_it_is_used(
    browser: Visitor, fake: FakeProvider, office: Office
) -> None:
    assert (await sign_in(browser, fake)).status == 303
    assert (await sign_in(browser, fake)).status == 303
    assert fake.asked.count("/keys") == 1
    office.wall.pass_s(60)
    fake.rotate()
    assert (await sign_in(browser, fake)).status == 303
    assert fake.asked.count("/keys") == 2
    fake.sign = signed_by_a_stranger
    for _ in range(3):
        assert (await sign_in(browser, fake)).status == 400
    assert fake.asked.count("/keys") == 2, "forged tokens must not make a request each"


# The claims ----------------------------------------------------------------------------------------------------------

BAD_PEOPLE: dict[str, tuple[Claims, str, str]] = {
    "no name": ({"email": None}, "provider_claim", "This is missing: email."),
    "no roles": ({"roles": None}, "provider_claim", "This is missing: roles."),
    "neither": ({"roles": None, "email": None}, "provider_claim", "This is missing: email, roles."),
    "no known role": ({"roles": ["king", "<i>"]}, "provider_no_role", "got king, &lt;i&gt;"),
    "an empty list": ({"roles": []}, "provider_no_role", "roles: must name a role"),
    "roles that are no list": ({"roles": {"finance": True}}, "provider_form", "roles: must be a text or a list"),
    "roles that are numbers": ({"roles": [1]}, "provider_form", "roles: must be a text or a list"),
    "an unverified address": ({"email_verified": False}, "provider_unverified", "email_verified: must be true"),
    "an unverified address as text": ({"email_verified": "false"}, "provider_unverified", "email_verified"),
    "a hostile name": ({"email": '<script>"@x'}, "provider_name", "email: must be 1 to 64 letters"),
    "a name that is no text": ({"email": ["ada@example.gov"]}, "provider_name", "email: must be 1 to 64 letters"),
}


@pytest.mark.parametrize("name", BAD_PEOPLE)
async def test_a_person_without_what_is_needed_is_refused_and_reads_what_is_missing(
    browser: Visitor, fake: FakeProvider, office: Office, name: str
) -> None:
    claims, key, text = BAD_PEOPLE[name]
    fake.person |= claims
    page = await sign_in(browser, fake)
    assert (page.status, text in page.text) == (403, True)
    assert refusal(office) == key
    assert "<script>" not in page.text.replace("<script src", "")
    assert (await browser.get(HOME)).status == 303


async def test_values_of_the_claim_give_roles(office: Office, fake: FakeProvider) -> None:
    browser = visitor_of(office, fake, roles={"CN=Pay Audit,OU=Groups": "auditor"}, roles_claim="realm_access.groups")
    fake.person |= {"roles": ["operator"], "realm_access": {"groups": ["Staff", "CN=Pay Audit,OU=Groups"]}}
    assert (await sign_in(browser, fake)).status == 303
    assert office.visitor_log("signed_in")[0].roles == ("auditor",)


async def test_a_role_may_be_one_text_and_claims_may_be_at_userinfo_alone(browser: Visitor, fake: FakeProvider) -> None:
    fake.person["roles"] = "auditor"
    fake.in_token = frozenset()
    assert (await sign_in(browser, fake)).status == 303
    assert (await browser.get("/dashboard/access-log")).status == 200


async def test_userinfo_of_another_person_is_refused(browser: Visitor, fake: FakeProvider, office: Office) -> None:
    fake.in_token = frozenset()
    fake.changes = changed(sub="another person")
    assert (await sign_in(browser, fake)).status == 400
    assert refusal(office) == "provider_token"


async def test_claims_limit_a_person_to_clients_and_fees(office: Office, fake: FakeProvider) -> None:
    for client in ("dawson", "exams"):
        await office.initiated("PETITION_FILING_FEE", "60.00", client, docketNumber="1-26")
    browser = visitor_of(office, fake, clients_claim="pay_clients", fees_claim="pay_fees")
    assert "This is missing: pay_clients, pay_fees." in (await sign_in(browser, fake)).text
    fake.person |= {"pay_clients": ["dawson"], "pay_fees": "*"}
    assert (await sign_in(browser, fake)).status == 303
    ours, theirs = office.attempts
    assert (await browser.get(f"/dashboard/payments/{ours.client}/{ours.reference}")).status == 200
    assert (await browser.get(f"/dashboard/payments/{theirs.client}/{theirs.reference}")).status == 404


async def test_a_person_keeps_the_first_name_and_another_person_cannot_take_it(
    browser: Visitor, fake: FakeProvider, office: Office
) -> None:
    await sign_in(browser, fake)
    fake.person["email"] = "ada.lovelace@example.gov"
    assert (await sign_in(browser, fake)).status == 303
    assert {entry.name for entry in office.visitor_log("signed_in")} == {"ada@example.gov"}
    fake.person |= {"sub": "another", "email": "ada@example.gov"}
    page = await sign_in(Visitor(browser.app), fake)
    assert (page.status, refusal(office)) == (403, "provider_name_taken")


# The provider fails --------------------------------------------------------------------------------------------------


async def test_a_provider_that_is_down_is_a_page_with_the_reason(
    browser: Visitor, fake: FakeProvider, office: Office
) -> None:
    fake.down = "connection refused"
    page = await browser.get(SIGN_IN)
    assert (page.status, "login.example.gov cannot be reached" in page.text) == (503, True)
    asked = len(fake.asked)
    assert (await browser.get(SIGN_IN)).status == 503
    assert len(fake.asked) == asked, "a failure must not make every click a request"
    fake.down = None
    office.wall.pass_s(5)
    sent = await browser.get(SIGN_IN)
    fake.down = "connection reset"
    page = await come_back(browser, fake.approve(sent.header("location")))
    assert (page.status, refusal(office)) == (503, "provider_down")


@pytest.mark.parametrize(
    "described",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://login.example.gov/token"},
        {"authorization_endpoint": None},
        {"end_session_endpoint": "javascript:alert(1)"},
    ],
    ids=str,
)
async def test_a_description_that_no_provider_gives_is_not_used(
    browser: Visitor, fake: FakeProvider, described: Claims
) -> None:
    fake.described = described
    assert (await browser.get(SIGN_IN)).status == 503


async def test_failed_sign_ins_of_an_address_must_wait(browser: Visitor) -> None:
    for _ in range(FAILURES_PER_ADDRESS_MAX):
        assert (await come_back(browser, {"state": "x", "code": "y"})).status == 400
    assert (await come_back(browser, {"state": "x", "code": "y"})).status == 429


# Sessions ------------------------------------------------------------------------------------------------------------


async def test_signing_out_ends_the_session_here_and_leads_to_the_providers_sign_out(
    browser: Visitor, fake: FakeProvider, office: Office
) -> None:
    await sign_in(browser, fake)
    copied = dict(browser.cookies)
    await browser.get(HOME)
    page = await browser.post("/dashboard/sign-out")
    target = page.text.partition('http-equiv="refresh" content="0; url=')[2].partition('"')[0].replace("&amp;", "&")
    query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    assert target.startswith(f"{ISSUER}/end?")
    assert query["post_logout_redirect_uri"] == "http://127.0.0.1:8080/dashboard/sign-in"
    assert query["client_id"] == CLIENT_ID
    assert len(query["id_token_hint"].split(".")) == 3
    browser.cookies = copied
    assert (await browser.get(HOME)).status == 303
    assert [entry.action for entry in office.visitor_log()] == ["signed_in", "signed_out"]
    with office.state.writing() as connection:
        assert connection.execute("SELECT count(*) FROM provider_sessions").fetchone()[0] == 0


async def test_without_a_sign_out_at_the_provider_the_page_says_so(browser: Visitor, fake: FakeProvider) -> None:
    fake.described = {"end_session_endpoint": None}
    await sign_in(browser, fake)
    await browser.get(HOME)
    page = await browser.post("/dashboard/sign-out")
    assert "http-equiv" not in page.text
    assert "Your session at login.example.gov may go on" in page.text


async def test_signing_out_everywhere_ends_every_session_of_the_person(browser: Visitor, fake: FakeProvider) -> None:
    other = Visitor(browser.app)
    await sign_in(other, fake)
    await sign_in(browser, fake)
    await browser.get(HOME)
    assert (await browser.post("/dashboard/sign-out-everywhere")).status == 200
    assert (await other.get(HOME)).status == 303


async def test_a_providers_session_expires_as_any_other(browser: Visitor, fake: FakeProvider, office: Office) -> None:
    await sign_in(browser, fake)
    office.wall.pass_s(SESSION_IDLE_S + 1)
    assert (await browser.get(HOME)).status == 303
    await sign_in(browser, fake)
    for _ in range(int(SESSION_S_MAX // 1000)):
        office.wall.pass_s(1000)
        assert (await browser.get("/dashboard/attention")).status == 200
    office.wall.pass_s(1000)
    assert (await browser.get("/dashboard/attention")).status == 303


async def test_a_providers_session_ends_when_the_provider_is_no_longer_used(
    browser: Visitor, fake: FakeProvider, office: Office
) -> None:
    await sign_in(browser, fake)
    without_it = office.visitor(Account("ada@example.gov", frozenset({"auditor"})))
    without_it.cookies = dict(browser.cookies)
    assert (await without_it.get(HOME)).status == 303


async def test_accounts_and_a_provider_work_side_by_side(office: Office, fake: FakeProvider, tmp_path: Path) -> None:
    accounts = AccountsFile(tmp_path / "accounts.json")
    accounts.save(with_password(Account("bob", frozenset({"viewer"})), "correct horse battery"))
    browser = visitor_of(office, fake, accounts)
    page = await browser.get("/dashboard/sign-in")
    assert "Sign in with login.example.gov" in page.text
    sent = {"name": "bob", "password": "correct horse battery"}
    assert (await browser.post("/dashboard/sign-in", sent)).header("location") == "/dashboard/"
    assert (await sign_in(browser, fake)).status == 303
    fake.person |= {"sub": "another", "email": "bob"}
    assert (await sign_in(Visitor(browser.app), fake)).status == 403
    assert refusal(office) == "provider_name_taken"


async def test_with_a_provider_alone_no_password_is_asked_for_or_accepted(browser: Visitor) -> None:
    page = await browser.get("/dashboard/sign-in")
    assert 'type="password"' not in page.text
    assert (await browser.post("/dashboard/sign-in", {"name": "ada@example.gov", "password": "x" * 12})).status == 401
