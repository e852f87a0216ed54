"""The provider ends sessions by OpenID Connect Back-Channel Logout 1.0: which ones, and every token it must refuse."""

import json
import sqlite3
from typing import Any
from urllib.parse import urlencode

import pytest

from bursar.dashboard.sign_in.provider.logout import EVENT, TOKEN_AGE_S_MAX, USED_S_MAX
from bursar.dashboard.state_file import StateFile
from tests.support.dashboard.office import Office, Page, Visitor
from tests.support.dashboard.provider import (
    FakeProvider,
    sign_in,
    signed_by_a_stranger,
    signed_with_a_shared_secret,
    unsigned,
    visitor_of,
)

HOME = "/dashboard/transactions"
LOGOUT = "/dashboard/sign-in/back-channel-logout"


async def send(browser: Visitor, token: str, **more: str) -> Page:
    """Send a logout token as the provider does: without cookies, without our form, with other fields."""
    body = urlencode({"logout_token": token, "other": "ignored", **more}).encode()
    return await Visitor(browser.app, peer="192.0.2.7").send("POST", LOGOUT, body, {})


async def signed_in(browser: Visitor, fake: FakeProvider, **claims: Any) -> Visitor:
    """Return another browser, in which the person of these claims has signed in."""
    fake.person |= claims
    other = Visitor(browser.app)
    assert (await sign_in(other, fake)).status == 303
    return other


async def is_signed_in(browser: Visitor) -> bool:
    return (await browser.get("/dashboard/attention")).status == 200


async def ended(browsers: dict[str, Visitor]) -> set[str]:
    return {name for name, each in browsers.items() if not await is_signed_in(each)}


# Which sessions end ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def browsers(browser: Visitor, fake: FakeProvider) -> dict[str, Visitor]:
    """Sign in two persons: ada in two sessions of the provider and in one that it did not name, bob in one."""
    return {
        "ada 1": await signed_in(browser, fake, sid="s-1"),
        "ada 1 too": await signed_in(browser, fake),
        "ada 2": await signed_in(browser, fake, sid="s-2"),
        "ada unnamed": await signed_in(browser, fake, sid=None),
        "bob": await signed_in(browser, fake, sub="bob", email="bob@example.gov", sid="s-3"),
    }


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"sid": "s-1", "sub": None}, {"ada 1", "ada 1 too"}),
        ({"sub": "248289761001"}, {"ada 1", "ada 1 too", "ada 2", "ada unnamed"}),
        ({"sub": "248289761001", "sid": "s-2"}, {"ada 2", "ada unnamed"}),
        ({"sub": "248289761001", "sid": "s-3"}, {"ada unnamed"}),
        ({"sub": "bob"}, {"bob"}),
        ({"sub": "another"}, set()),
        ({"sub": None, "sid": "another"}, set()),
    ],
    ids=["sid", "sub", "both", "sid of another", "another person", "unknown sub", "unknown sid"],
)
async def test_a_logout_ends_the_sessions_that_it_names_and_no_others(
    browsers: dict[str, Visitor], fake: FakeProvider, office: Office, claims: dict[str, Any], expected: set[str]
) -> None:
    page = await send(browsers["bob"], fake.signed(fake.logout_claims(**claims), typ="logout+jwt"))
    assert (page.status, page.body, page.header("cache-control")) == (200, b"", "no-store")
    assert page.header("set-cookie") == ""
    assert await ended(browsers) == expected
    entries = office.visitor_log("signed_out_by_provider")
    assert sum(entry.detail["sessions"] for entry in entries) == len(expected)
    assert {entry.target.partition("@")[0] for entry in entries} == {name.split()[0] for name in expected}


async def test_a_person_can_sign_in_again_after_a_logout(browser: Visitor, fake: FakeProvider) -> None:
    ada = await signed_in(browser, fake)
    assert (await send(browser, fake.signed(fake.logout_claims()))).status == 200
    assert not await is_signed_in(ada)
    assert await is_signed_in(await signed_in(browser, fake))


async def test_a_token_signed_by_a_new_key_of_the_provider_is_accepted(
    browser: Visitor, fake: FakeProvider, office: Office
) -> None:
    ada = await signed_in(browser, fake)
    office.wall.pass_s(60)
    fake.rotate()
    assert (await send(browser, fake.signed(fake.logout_claims()))).status == 200
    assert not await is_signed_in(ada)
    asked = fake.asked.count("/keys")
    for _ in range(3):
        assert (await send(browser, signed_by_a_stranger(fake.logout_claims()))).status == 400
    assert fake.asked.count("/keys") == asked, "forged tokens must not make a request each"


# Refused requests -----------------------------------------------------------------------------------------------------

BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "iss": {"iss": "https://evil.example"},
    "iss is missing": {"iss": None},
    "aud": {"aud": "another client"},
    "aud has another client too": {"aud": ["bursar", "another client"]},
    "aud is missing": {"aud": None},
    "iat is missing": {"iat": None},
    "iat is no time": {"iat": "today"},
    "exp is missing": {"exp": None},
    "exp is no time": {"exp": "tomorrow"},
    "jti is missing": {"jti": None},
    "jti is no text": {"jti": 7},
    "events is missing": {"events": None},
    "events is a list": {"events": [EVENT]},
    "events of another kind": {"events": {"http://schemas.openid.net/event/another": {}}},
    "events without an object": {"events": {EVENT: True}},
    "nonce": {"nonce": "n"},
    "sub is no text": {"sub": 7},
    "sub is empty": {"sub": ""},
    "sid is no text": {"sid": ["s-1"]},
    "sub or sid": {"sub": None},
}


@pytest.mark.parametrize("name", BAD_CLAIMS)
async def test_a_token_with_a_wrong_claim_is_refused_and_ends_nothing(
    browser: Visitor, fake: FakeProvider, name: str
) -> None:
    ada = await signed_in(browser, fake)
    page = await send(browser, fake.signed(fake.logout_claims(**BAD_CLAIMS[name])))
    assert (page.status, page.header("cache-control")) == (400, "no-store")
    assert page.header("content-type") == "application/json"
    answer = json.loads(page.body)
    assert answer["error"] == "invalid_request"
    check = name if name == "sub or sid" else name.split()[0]
    assert answer["error_description"] == f"logout_token: fails this check: {check}"
    assert await is_signed_in(ada)


@pytest.mark.parametrize(("issued_s", "expires_s", "status"), [
    (0, 120, 200), (-120, -59, 200), (-120, -61, 400), (55, 120, 200), (65, 120, 400),
    (-TOKEN_AGE_S_MAX - 60, 120, 200), (-TOKEN_AGE_S_MAX - 62, 120, 400),
])  # fmt: skip
async def test_a_token_is_accepted_for_a_short_time_and_clocks_may_differ(
    browser: Visitor, fake: FakeProvider, issued_s: int, expires_s: int, status: int
) -> None:
    now = int(fake.clock())
    token = fake.signed(fake.logout_claims(iat=now + issued_s, exp=now + expires_s))
    assert (await send(browser, token)).status == status


async def test_a_token_is_used_once_and_is_remembered_for_as_long_as_it_could_be_used(
    browser: Visitor, fake: FakeProvider, office: Office
) -> None:
    token = fake.signed(fake.logout_claims(exp=int(fake.clock()) + 86_400))
    assert (await send(browser, token)).status == 200
    ada = await signed_in(browser, fake)
    for wait_s in (0, TOKEN_AGE_S_MAX, USED_S_MAX - TOKEN_AGE_S_MAX, 1):
        office.wall.pass_s(wait_s)
        assert (await send(browser, token)).status == 400
    assert await is_signed_in(ada)
    assert (await send(browser, fake.signed(fake.logout_claims()))).status == 200
    with office.state.writing() as connection:
        assert connection.execute("SELECT count(*) FROM used_logout_tokens").fetchone()[0] == 1


@pytest.mark.parametrize("sign", [unsigned, signed_with_a_shared_secret, signed_by_a_stranger])
async def test_a_token_that_the_provider_has_not_signed_is_refused(
    browser: Visitor, fake: FakeProvider, sign: Any
) -> None:
    ada = await signed_in(browser, fake)
    assert (await send(browser, sign(fake.logout_claims()))).status == 400
    assert await is_signed_in(ada)


@pytest.mark.parametrize(
    "token", ["", "x.y.z", "x", "e30.e30.", "x" * 100_000, "\u202e\0"], ids=lambda token: token[:6]
)
async def test_a_text_that_is_no_token_is_refused(browser: Visitor, token: str) -> None:
    page = await send(browser, token)
    assert (page.status, json.loads(page.body)["error"]) == (400, "invalid_request")


async def test_neither_an_id_token_nor_an_access_token_is_a_logout_token(browser: Visitor, fake: FakeProvider) -> None:
    tokens: list[str] = []

    def kept(claims: dict[str, Any]) -> str:
        tokens.append(fake.signed(claims))
        return tokens[-1]

    fake.sign = kept
    ada = await signed_in(browser, fake)
    tokens.append(fake.signed(fake.logout_claims(), typ="at+jwt"))
    for token in tokens:
        assert (await send(browser, token)).status == 400
    assert await is_signed_in(ada)


async def test_a_logout_token_is_no_id_token(browser: Visitor, fake: FakeProvider) -> None:
    fake.sign = lambda claims: fake.signed(fake.logout_claims())
    assert (await sign_in(browser, fake)).status == 400


async def test_only_a_post_is_answered_and_a_cookie_changes_nothing(browser: Visitor, fake: FakeProvider) -> None:
    ada = await signed_in(browser, fake)
    assert (await ada.get(LOGOUT)).status == 405
    bad = await ada.send("POST", LOGOUT, b"logout_token=x", {"sec-fetch-site": "cross-site"})
    assert bad.status == 400
    assert await is_signed_in(ada)


async def test_a_logout_fails_while_the_keys_cannot_be_read_and_works_once_they_can(
    browser: Visitor, fake: FakeProvider, office: Office
) -> None:
    ada = await signed_in(browser, fake)
    office.wall.pass_s(60)
    fake.rotate()
    fake.down = "connection refused"
    token = fake.signed(fake.logout_claims())
    page = await send(browser, token)
    assert (page.status, json.loads(page.body)["error"]) == (400, "temporarily_unavailable")
    assert await is_signed_in(ada)
    fake.down = None
    assert (await send(browser, token)).status == 200
    assert not await is_signed_in(ada)


async def test_sessions_of_an_earlier_version_end_with_their_person(office: Office, fake: FakeProvider) -> None:
    """Read the state file of an earlier version, which has no column for the provider's session."""
    browser = visitor_of(office, fake)
    ada = await signed_in(browser, fake, sid="s-1")
    path = office.folder / "dashboard.db"
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE provider_sessions DROP COLUMN sid")
    connection.close()
    office.state = StateFile(path)
    later = visitor_of(office, fake)
    ada.app = later.app
    assert await is_signed_in(ada)
    assert (await send(later, fake.signed(fake.logout_claims(sid="s-1")))).status == 200
    assert not await is_signed_in(ada)
