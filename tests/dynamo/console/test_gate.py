"""The gate of the console: hosts, tokens of forms, sign-in with access keys, and policies."""

from collections.abc import AsyncIterator

import pytest

from bursar.dynamo.console.item_texts import key_token
from bursar.dynamo.console.sessions import FAILURES_MAX, SESSION_S_MAX, SESSIONS_MAX, ConsoleSessions
from bursar.dynamo.server.credentials import AccessKeys, KeyGrant
from bursar.dynamo.server.policies import parse_policy
from tests.support.dynamo.console import ConsoleBrowser, engine_with_notes

READER = parse_policy(
    "reader",
    {
        "Statement": [
            {"Effect": "Allow", "Action": ["dynamodb:ListTables"], "Resource": "*"},
            {
                "Effect": "Allow",
                "Action": ["dynamodb:DescribeTable", "dynamodb:Query", "dynamodb:GetItem"],
                "Resource": "arn:aws:dynamodb:*:*:table/notes",
                "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["a"]}},
            },
        ]
    },
)
KEYS = AccessKeys({"ROOT": KeyGrant("root secret"), "READER": KeyGrant("reader secret", READER)})
KEY = f"?key={key_token({'pk': {'S': 'a'}, 'at': {'N': '3'}})}"


@pytest.fixture
async def local() -> AsyncIterator[ConsoleBrowser]:
    browser = ConsoleBrowser(engine_with_notes(5))
    yield browser
    await browser.client.aclose()
    browser.engine.close()


@pytest.fixture
async def signed() -> AsyncIterator[ConsoleBrowser]:
    browser = ConsoleBrowser(engine_with_notes(5), KEYS)
    yield browser
    await browser.client.aclose()
    browser.engine.close()


async def sign_in(browser: ConsoleBrowser, key: str, secret: str) -> int:
    await browser.get("/sign-in")
    return (await browser.send("/sign-in", {"access_key": key, "secret": secret})).status_code


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8001", "[", ""])
async def test_without_keys_no_other_host_is_served(local: ConsoleBrowser, host: str) -> None:
    assert (await local.get("/", host=host)).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8001", "127.0.0.1:8001", "[::1]:8001"])
async def test_without_keys_this_machine_is_served(local: ConsoleBrowser, host: str) -> None:
    assert (await local.get("/", host=host)).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}]
)
async def test_a_form_of_another_site_is_refused(local: ConsoleBrowser, headers: dict[str, str]) -> None:
    await local.get(f"/tables/notes/item/delete{KEY}")
    assert (await local.send("/item/delete", {}, **headers)).status_code == 403


@pytest.mark.parametrize("token", ["", "0" * 64])
async def test_a_form_without_its_token_is_refused(local: ConsoleBrowser, token: str) -> None:
    await local.get(f"/tables/notes/item/delete{KEY}")
    assert (await local.send("/item/delete", {"csrf": token})).status_code == 403
    local.client.cookies.clear()
    await local.get(f"/tables/notes/item/delete{KEY}")
    local.client.cookies.clear()  # the token is bound to the cookie
    assert (await local.send("/item/delete", {})).status_code == 403


async def test_other_methods_are_refused(local: ConsoleBrowser) -> None:
    assert (await local.client.put("/")).status_code == 405
    assert (await local.client.post("/")).status_code == 405


async def test_with_keys_every_page_needs_a_sign_in(signed: ConsoleBrowser) -> None:
    answer = await signed.get("/tables/notes/items")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    await signed.get("/sign-in")
    assert (await signed.send("/partiql", {"statement": "SELECT * FROM notes"})).status_code == 401
    assert await sign_in(signed, "ROOT", "wrong") == 403
    assert await sign_in(signed, "ABSENT", "") == 403
    assert await sign_in(signed, "ROOT", "root secret") == 303
    assert "ROOT" in (await signed.get("/")).text
    assert (await signed.send("/sign-out", {})).status_code == 303
    assert (await signed.get("/")).status_code == 303


async def test_a_policy_limits_the_pages(signed: ConsoleBrowser) -> None:
    await sign_in(signed, "READER", "reader secret")
    assert (await signed.get("/")).status_code == 200
    assert (await signed.get("/tables/notes/items?k0=a")).status_code == 200
    assert (await signed.get(f"/tables/notes/item/history{KEY}")).status_code == 200
    other = f"?key={key_token({'pk': {'S': 'b'}, 'at': {'N': '3'}})}"
    assert (await signed.get(f"/tables/notes/item/history{other}")).status_code == 403
    assert "AccessDeniedException" in (await signed.get("/tables/notes/items?k0=b")).text
    assert "AccessDeniedException" in (await signed.get("/tables/notes/items")).text
    await signed.get(f"/tables/notes/item/delete{KEY}")
    assert (await signed.send("/item/delete", {})).status_code == 403


async def test_guessing_is_slowed_down(signed: ConsoleBrowser) -> None:
    for _ in range(FAILURES_MAX):
        assert await sign_in(signed, "ROOT", "guess") == 403
    assert await sign_in(signed, "ROOT", "root secret") == 429


def test_sessions_end_and_their_number_is_bounded() -> None:
    now = [0.0]
    sessions = ConsoleSessions(KEYS, lambda: now[0])
    first = sessions.begin("ROOT", "root secret")
    assert first is not None
    assert sessions.access_key_of(first) == "ROOT"
    for _ in range(SESSIONS_MAX):
        last = sessions.begin("ROOT", "root secret")
    assert sessions.access_key_of(first) is None
    assert last is not None
    now[0] = SESSION_S_MAX
    assert sessions.access_key_of(last) is None
