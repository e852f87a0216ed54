"""Every way in which a call can fail, caused over real sockets: one test for each row of the table."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bursar.paygov import (
    ArgumentRefused,
    Certainty,
    Collection,
    Fault,
    HttpTransport,
    PayGov,
    PayGovConfig,
    PayGovError,
    QueryUnavailable,
    errors,
)
from bursar.paygov.errors import CLASSIFICATION
from tests.support.paygov.world import APP, HASTY_S, client, soap_fault, soap_reply
from tests.support.scripted_server import PATIENT_S, Script, http_reply, read_request

COMPLETE = "completeOnlineCollectionWithDetails"
TOKEN = "t" * 32
GOOD = soap_reply(
    COMPLETE,
    "<paygov_tracking_id>3FPM1</paygov_tracking_id><transaction_status>Success</transaction_status>",
)

Serve = Callable[[Script], Awaitable[str]]


def answering(reply: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(reply)
        await writer.drain()

    return script


async def silence(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    for at in range(len(GOOD)):
        writer.write(http_reply(GOOD)[at : at + 1])
        await writer.drain()
        await asyncio.sleep(0.02)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def end_of_file(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await read_request(reader)


async def pooled_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the first request of a connection, and close it after reading the second."""
    await answering(http_reply(GOOD))(reader, writer)
    await read_request(reader)


SERVED: dict[str, Script] = {
    "a fault with a return code, on HTTP 200": answering(http_reply(soap_fault())),
    "a fault with a return code, on HTTP 400": answering(http_reply(soap_fault(), "400 Bad Request")),
    "a fault with a return code, on HTTP 500": answering(http_reply(soap_fault(), "500 Oh No")),
    "connected, then silence": silence,
    "the reply drips too slowly": drip,
    "the connection is reset before the reply": reset,
    "the connection ends before the reply": end_of_file,
    "the reply is cut short": answering(http_reply(GOOD)[:-9]),
    "bytes that are not HTTP": answering(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "a redirect": answering(http_reply(GOOD, "307 Over There", "Location: /elsewhere\r\n")),
    "HTTP 401 or 403 without a fault": answering(http_reply(b"<h1>Forbidden</h1>", "403 Forbidden")),
    "HTTP 500, 502 or 503 without a fault": answering(http_reply(GOOD, "502 Bad Gateway")),
    "garbage instead of XML": answering(http_reply(bytes(range(256)))),
    "truncated XML in a whole reply": answering(http_reply(GOOD[: len(GOOD) // 2])),
    "a DTD or an entity": answering(http_reply(b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + GOOD)),
    "a reply larger than a reply may be": answering(http_reply(GOOD + b" " * 300_000)),
    "valid XML of another shape": answering(http_reply(b"<weather><sky>blue</sky></weather>")),
    "the reply of another operation": answering(http_reply(soap_reply("getDetails", "<transactions/>"))),
    "the reply sent twice over": answering(http_reply(GOOD * 2)),
    "a SOAP fault without a return code": answering(
        http_reply(soap_fault().replace(b"return_code", b"some_code"), "500 Oh No")
    ),
}


async def complete(base: str, timeout_s: float = PATIENT_S, token: str = TOKEN) -> Collection:
    transport = HttpTransport()
    try:
        return await client(base, transport, timeout_s).complete(tcs_app_id=APP, token=token)
    finally:
        await transport.close()


async def refused(_serve: Serve) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound and not listening: the kernel refuses connections.
        await complete(f"http://127.0.0.1:{taken.getsockname()[1]}")


async def unresolved(_serve: Serve) -> None:
    await complete("http://paygov.invalid")


async def no_connection(_serve: Serve) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # A full backlog: the kernel lets further connections wait.
        with socket.socket() as first, socket.socket() as second:
            for each in (first, second):
                each.setblocking(False)
                each.connect_ex(full.getsockname())
            await complete(f"http://127.0.0.1:{full.getsockname()[1]}", HASTY_S)


async def no_tls(serve: Serve) -> None:
    async def plain_text(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"plain text\r\n")
        await writer.drain()

    base = await serve(plain_text)
    await complete(base.replace("http:", "https:"))


async def pooled(serve: Serve) -> None:
    transport = HttpTransport()
    try:
        paygov = client(await serve(pooled_end), transport)
        assert (await paygov.complete(tcs_app_id=APP, token=TOKEN)).transaction_status == "Success"
        await paygov.complete(tcs_app_id=APP, token=TOKEN)
    finally:
        await transport.close()


async def bad_argument(_serve: Serve) -> None:
    await complete("http://127.0.0.1:1", token="short")


async def no_query(_serve: Serve) -> None:
    paygov = PayGov(PayGovConfig(url="http://x", payment_url="http://x"), HttpTransport())
    await paygov.find("query", tcs_app_id=APP, agency_tracking_id="a")


CAUSED: dict[str, Callable[[Serve], Awaitable[Any]]] = {
    "an argument that Pay.gov could not take": bad_argument,
    "the query service is not configured": no_query,
    "the host's name does not resolve": unresolved,
    "the connection is refused": refused,
    "no connection in time": no_connection,
    "the TLS handshake fails": no_tls,
    "a pooled connection ends under the request": pooled,
}

HASTY = {"connected, then silence", "the reply drips too slowly"}


async def cause(what: str, serve: Serve) -> None:
    if what in CAUSED:
        await CAUSED[what](serve)
    else:
        await complete(await serve(SERVED[what]), HASTY_S if what in HASTY else PATIENT_S)


@pytest.mark.parametrize(("what", "raised"), CLASSIFICATION, ids=[what for what, _ in CLASSIFICATION])
async def test_row(what: str, raised: type[PayGovError], scripted: Serve) -> None:
    with pytest.raises(PayGovError) as caught:
        await cause(what, scripted)
    assert type(caught.value) is raised


def test_each_row_is_caused_once() -> None:
    assert sorted(what for what, _ in CLASSIFICATION) == sorted([*SERVED, *CAUSED])


def leaves(branch: type[PayGovError]) -> set[type[PayGovError]]:
    return {branch}.union(*(leaves(each) for each in branch.__subclasses__()))


def test_every_error_has_a_certainty_and_an_http_status() -> None:
    for error in leaves(PayGovError) - {PayGovError}:
        assert isinstance(error.certainty, Certainty)
        assert 400 <= error.http_status <= 599


def test_every_leaf_is_in_the_table_and_in_the_drawing() -> None:
    ends = {error for error in leaves(PayGovError) if not error.__subclasses__()}
    assert ends <= {raised for _, raised in CLASSIFICATION}
    assert errors.__doc__ is not None
    assert all(error.__name__ in errors.__doc__ for error in leaves(PayGovError))


def test_only_a_fault_is_a_refusal() -> None:
    refusals = {error for error in leaves(PayGovError) - {PayGovError} if error.certainty is Certainty.REFUSED}
    assert refusals == {Fault}


def test_an_error_before_sending_is_not_unknown() -> None:
    assert ArgumentRefused.certainty is QueryUnavailable.certainty is Certainty.NOT_SENT


def test_a_faults_detail_is_bounded() -> None:
    assert len(Fault("4117", "x" * 10_000).return_detail) == 500
