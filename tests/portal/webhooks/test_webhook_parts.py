"""The parts of a delivery: its signature, its subscriptions, and its sender."""

import asyncio
import ipaddress
from pathlib import Path
from typing import Any

import pytest

from bursar.portal.webhooks.queue import WebhookQueue
from bursar.portal.webhooks.sender import REPLY_BYTES_MAX, HttpSender, NotDelivered, ReceiverReply
from bursar.portal.webhooks.signing import AGE_MAX_S, signature, verified
from bursar.portal.webhooks.subscriptions import SECRET_CHARS_MIN, Subscriptions, SubscriptionsError
from bursar.portal.webhooks.targets import AllowedTargets
from tests.support.scripted_server import PATIENT_S, Serve, http_reply, read_request

SECRET = "a secret of more than thirty-two characters"


def test_a_signature_holds_for_its_body_and_its_time() -> None:
    header = signature(SECRET, b"{}", 1_000_000.7)
    assert header.startswith("t=1000000,v1=")
    assert verified(SECRET, b"{}", header, 1_000_100)
    assert not verified(SECRET, b"{ }", header, 1_000_100)
    assert not verified("another secret", b"{}", header, 1_000_100)
    for age_s, good in ((-AGE_MAX_S - 1, False), (-AGE_MAX_S, True), (AGE_MAX_S, True), (AGE_MAX_S + 1, False)):
        assert verified(SECRET, b"{}", header, 1_000_000 + age_s) is good
    assert not verified(SECRET, b"{}", header.replace("t=1000000", "t=1000001"), 1_000_100)
    for broken in ("", "t=", "v1=", "t=x,v1=y", "t=\u00b2,v1=\u00e9", "t=1000000,v1=\u00e9"):
        assert not verified(SECRET, b"{}", broken, 1_000_000)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "127.1"])
async def test_nothing_reaches_a_server_on_our_own_machine(host: str, scripted: Serve) -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read()

    port = (await scripted(script)).rpartition(":")[2]
    async with HttpSender(timeout_s=PATIENT_S) as sender:
        with pytest.raises(NotDelivered, match="is not a public address"):
            await sender.post(f"http://{host}:{port}/", b"{}", {})
    assert connections == 0


async def sent_to(scripted: Serve, reply: bytes, timeout_s: float = PATIENT_S) -> ReceiverReply:
    """Send a delivery to a loopback server that writes ``reply``, with loopback allowed."""
    loopback = AllowedTargets([ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1")])

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(reply)
        await writer.drain()
        await reader.read()

    url = await scripted(script)
    async with HttpSender(timeout_s, allowed=loopback) as sender:
        return await sender.post(url, b"{}", {})


@pytest.mark.parametrize(
    "reply",
    [
        http_reply(b"thanks"),
        http_reply(b"", "299 Odd"),
        b"HTTP/1.1 204 No Content\r\n\r\n",
        http_reply(b"x" * 2 * REPLY_BYTES_MAX),
    ],
)
async def test_a_2xx_is_a_delivery_for_any_body(reply: bytes, scripted: Serve) -> None:
    answered = await sent_to(scripted, reply)
    assert 200 <= answered.status < 300
    assert answered.body == (b"thanks" if b"thanks" in reply else b"")


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (http_reply(b"", "307 There", "Location: /again\r\n"), "HTTP 307"),
        (http_reply(b"x" * 2 * REPLY_BYTES_MAX, "503 Busy"), "HTTP 503"),
        (b"SSH-2.0\r\n\r\n", "not HTTP"),
        (b"", "no whole reply"),
    ],
)
async def test_anything_else_is_not_a_delivery(reply: bytes, problem: str, scripted: Serve) -> None:
    with pytest.raises(NotDelivered, match=problem) as failed:
        await sent_to(scripted, reply, timeout_s=0.3 if not reply else PATIENT_S)
    assert (failed.value.reply is not None) == problem.startswith("HTTP")


@pytest.mark.parametrize(
    "url",
    ["https://a.example:99999/", "https://a.example:x/", f"https://{'a' * 64}.example/", "https://../", "https://[/"],
)
async def test_an_impossible_url_is_not_delivered(url: str) -> None:
    async with HttpSender(timeout_s=PATIENT_S) as sender:
        with pytest.raises(NotDelivered):
            await sender.post(url, b"{}", {})


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_an_impossible_port_is_a_problem_of_the_file(port: str) -> None:
    content = f'[webhooks.status]\nclient = "dawson"\nurl = "https://dawson.example:{port}/"\nsecret = "{SECRET}"\n'
    with pytest.raises(SubscriptionsError, match=r"webhooks\.status\.url"):
        Subscriptions.parse(content.encode(), source="w.toml")


def test_subscriptions_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.toml"
    path.write_text(f'[webhooks.status]\nclient = "dawson"\nurl = "https://dawson.example/b"\nsecret = "{SECRET}"\n')
    found = Subscriptions.load(path)
    assert [each.name for each in found.for_client("dawson")] == ["status"]
    assert found.for_client("exams") == ()
    assert SECRET not in repr(found.all)


@pytest.mark.parametrize(("length", "good"), [(SECRET_CHARS_MIN - 1, False), (SECRET_CHARS_MIN, True)])
def test_a_secret_has_at_least_the_least_length(length: int, good: bool) -> None:
    content = f'[webhooks.a]\nclient = "dawson"\nurl = "https://dawson.example/b"\nsecret = "{"s" * length}"\n'.encode()
    if good:
        assert Subscriptions.parse(content, source="w.toml").get("a") is not None
        return
    with pytest.raises(SubscriptionsError, match=r"webhooks\.a\.secret: must have at least 32 characters"):
        Subscriptions.parse(content, source="w.toml")


def test_every_problem_of_the_file_is_reported_and_no_secret() -> None:
    content = (
        b'extra = 1\n[webhooks.a]\nclient = "dawson"\nurl = "http://dawson.example"\nsecret = "too short"\nmore = 1\n'
        b'[webhooks."b b"]\nurl = "https://u@h/"\nclient = 7\n'
    )
    with pytest.raises(SubscriptionsError) as wrong:
        Subscriptions.parse(content, source="w.toml")
    lines = str(wrong.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "extra",
        "webhooks.a.more",
        "webhooks.a.secret",
        "webhooks.a.url",
        "webhooks.b b.client",
        "webhooks.b b.secret",
        "webhooks.b b",
        "webhooks.b b.url",
    ]
    assert "too short" not in str(wrong.value)
    with pytest.raises(SubscriptionsError, match="not TOML"):
        Subscriptions.parse(b"[", source="w.toml")


def test_plain_http_is_a_problem_of_the_file_unless_it_is_allowed() -> None:
    content = f'[webhooks.status]\nclient = "dawson"\nurl = "http://127.0.0.1:9000/b"\nsecret = "{SECRET}"\n'.encode()
    with pytest.raises(SubscriptionsError, match="BURSAR_WEBHOOKS_PLAIN_HTTP=true"):
        Subscriptions.parse(content, source="w.toml")
    allowed = Subscriptions.parse(content, source="w.toml", plain_http=True)
    assert [each.url for each in allowed.all] == ["http://127.0.0.1:9000/b"]
    for wrong in (b"ftp://", b"http://u@"):
        with pytest.raises(SubscriptionsError, match=r"webhooks\.status\.url"):
            Subscriptions.parse(content.replace(b"http://", wrong), source="w.toml", plain_http=True)


class Pages:
    """A store whose every answer has 60,000 items and is followed by another page."""

    async def call(self, operation: str, request: object) -> dict[str, object]:
        return {"Count": 60_000, "LastEvaluatedKey": {"pk": {"S": operation}}}


async def test_a_backlog_is_counted_up_to_its_bound_and_not_beyond() -> None:
    store: Any = Pages()
    assert await WebhookQueue(store).backlog(["a"]) == dict.fromkeys(("waiting", "failing", "dead"), 100_000)
