"""The HTTP client connects only to addresses that were checked, and tries each address of a name."""

import asyncio
import socket
from typing import Any

import pytest

from bursar.web import http_client
from bursar.web.http_client import HttpClient
from bursar.web.http_client_connection import HttpClientConnection
from bursar.web.http_reply import RequestNotSent
from tests.support.scripted_server import PATIENT_S, CountingEcho, Serve


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Make the event loop resolve names to ``answers``, one a call. Return the list of the names that it was asked."""
    remaining, asked = list(answers), []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in remaining.pop(0)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return asked


def no_private(address: str) -> str | None:
    return "a private address" if address.startswith("10.") else None


async def test_the_connection_goes_to_the_address_that_was_checked(
    scripted: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Change the address of a name after the check (DNS rebinding): the name is not resolved a second time."""
    port = (await scripted(CountingEcho())).rpartition(":")[2]
    asked = resolving(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
    client = HttpClient(address_refusal=no_private)
    assert (await client.post(f"http://payer.example:{port}/", b"hello", {}, PATIENT_S)).body == b"hello"
    await client.close()
    assert asked == ["payer.example"]


async def test_one_refused_address_refuses_the_name(scripted: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = CountingEcho()
    port = (await scripted(server)).rpartition(":")[2]
    resolving(monkeypatch, ["127.0.0.1", "10.0.0.1"])
    client = HttpClient(address_refusal=no_private)
    with pytest.raises(RequestNotSent, match="a private address"):
        await client.post(f"http://payer.example:{port}/", b"", {}, PATIENT_S)
    await client.close()
    assert server.connections == 0


async def test_a_dead_address_leaves_time_for_the_next(scripted: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    port = (await scripted(CountingEcho())).rpartition(":")[2]
    resolving(monkeypatch, ["127.0.0.9", "127.0.0.1"])  # nothing listens on 127.0.0.9
    client = HttpClient(address_refusal=no_private)
    assert (await client.post(f"http://payer.example:{port}/", b"hello", {}, PATIENT_S)).body == b"hello"
    await client.close()


async def test_a_silent_address_leaves_time_for_the_next(scripted: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    port = (await scripted(CountingEcho())).rpartition(":")[2]
    resolving(monkeypatch, ["127.0.0.9", "127.0.0.1"])
    connect_to = HttpClient._connect_to

    async def silent(client: HttpClient, place: http_client.Place, host: str) -> HttpClientConnection:
        if host == "127.0.0.9":
            await asyncio.Event().wait()
        return await connect_to(client, place, host)

    monkeypatch.setattr(HttpClient, "_connect_to", silent)
    client = HttpClient(address_refusal=no_private)
    assert (await client.post(f"http://payer.example:{port}/", b"hello", {}, 2.0)).body == b"hello"
    await client.close()
