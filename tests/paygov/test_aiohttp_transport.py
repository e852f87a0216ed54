"""The transport of production on real sockets: pooling, nothing ever sent twice, TLS, and every error of aiohttp."""

import asyncio
import datetime
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from bursar.paygov import AioHttpTransport, Lost, Nonsense, NotSent, PayGovError, TimedOut
from paygov.conftest import PATIENT_S, Script, http_reply, read_request

Serve = Callable[[Script], Awaitable[str]]


async def test_a_second_reply_lying_in_a_pooled_connection_answers_nobody(scripted: Serve) -> None:
    """Two replies to the first request: the second must not become the answer to another payer's request."""
    sent_twice = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await read_request(reader)
        writer.write(http_reply(b"to " + asked))
        await writer.drain()
        if asked == b"first":
            await asyncio.sleep(0.05)  # Long enough for the client to have put the connection back into its pool.
            writer.write(http_reply(b"to first again"))
            await writer.drain()
            sent_twice.set()
            await reader.read()

    base = await scripted(script)
    transport = AioHttpTransport()
    first = await transport.post(base, b"first", {}, PATIENT_S)
    await sent_twice.wait()
    await asyncio.sleep(0.05)
    second = await transport.post(base, b"second", {}, PATIENT_S)
    await transport.close()
    assert (first.body, second.body) == (b"to first", b"to second")


async def test_connections_are_pooled(scripted: Serve) -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            writer.write(http_reply(await read_request(reader)))
            await writer.drain()

    base = await scripted(script)
    transport = AioHttpTransport()
    for number in range(5):
        body = str(number).encode()
        assert (await transport.post(base, body, {}, PATIENT_S)).body == body
    await transport.close()
    assert connections == 1


async def test_a_request_is_never_sent_twice(scripted: Serve) -> None:
    """The server hangs up on a pooled connection after reading the request: lost, and asked once."""
    asked: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_request(reader))
        writer.write(http_reply(b"fine"))
        await writer.drain()
        asked.append(await read_request(reader))

    base = await scripted(script)
    transport = AioHttpTransport()
    await transport.post(base, b"first", {}, PATIENT_S)
    with pytest.raises(Lost):
        await transport.post(base, b"complete", {}, PATIENT_S)
    await transport.close()
    assert asked == [b"first", b"complete"]


async def test_a_pooled_connection_that_the_server_closed_is_not_used(scripted: Serve) -> None:
    asked: list[bytes] = []
    hung_up = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_request(reader))
        writer.write(http_reply(b"fine"))
        await writer.drain()
        writer.close()
        hung_up.set()

    base = await scripted(script)
    transport = AioHttpTransport()
    await transport.post(base, b"first", {}, PATIENT_S)
    await hung_up.wait()
    await asyncio.sleep(0.05)
    assert (await transport.post(base, b"second", {}, PATIENT_S)).body == b"fine"
    await transport.close()
    assert asked == [b"first", b"second"]


async def test_a_redirect_is_not_followed(scripted: Serve) -> None:
    asked: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked.append(await read_request(reader))
            writer.write(http_reply(b"", "307 There", "Location: /again\r\n"))
            await writer.drain()

    base = await scripted(script)
    transport = AioHttpTransport()
    assert (await transport.post(base, b"once", {}, PATIENT_S)).status == 307
    await transport.close()
    assert asked == [b"once"]


async def test_an_endless_reply_is_given_up(scripted: Serve) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
            await writer.drain()

    base = await scripted(script)
    transport = AioHttpTransport()
    with pytest.raises(Nonsense, match="more than"):
        await transport.post(base, b"", {}, PATIENT_S)
    await transport.close()


async def test_a_compressed_reply_is_not_unfolded(scripted: Serve) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http_reply(b"\x1f\x8b", headers="Content-Encoding: gzip\r\n"))
        await writer.drain()

    base = await scripted(script)
    transport = AioHttpTransport()
    assert (await transport.post(base, b"", {}, PATIENT_S)).body == b"\x1f\x8b"
    await transport.close()


async def test_callers_wait_for_a_connection_and_are_not_sent_when_none_comes(scripted: Serve) -> None:
    asked = asyncio.Event()

    async def script(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        await reader.read()

    base = await scripted(script)
    transport = AioHttpTransport(connections_max=1)
    holding = asyncio.create_task(transport.post(base, b"first", {}, PATIENT_S))
    await asked.wait()
    with pytest.raises(NotSent):
        await transport.post(base, b"second", {}, 0.1)
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    await transport.close()


async def test_closing_twice_or_unopened_is_fine() -> None:
    transport = AioHttpTransport()
    await transport.close()
    await transport.close()


# Every exception of the layer below

KEY = ConnectionKey("h", 1, False, True, None, None, None)
REQUEST = aiohttp.RequestInfo("http://h", "POST", {}, "http://h")  # type: ignore[arg-type]
CERTIFICATE = ssl.CertificateError("no")

MAPPED: list[tuple[BaseException, type[PayGovError]]] = [
    (aiohttp.ConnectionTimeoutError("slow"), NotSent),
    (aiohttp.ClientConnectorError(KEY, OSError(111, "refused")), NotSent),
    (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "unknown")), NotSent),
    (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "no")), NotSent),
    (aiohttp.ClientConnectorCertificateError(KEY, CERTIFICATE), NotSent),
    (aiohttp.ClientSSLError(KEY, OSError(1, "no")), NotSent),
    (aiohttp.ClientProxyConnectionError(KEY, OSError(1, "no")), NotSent),
    (aiohttp.client_exceptions.UnixClientConnectorError("/p", KEY, OSError(1, "no")), NotSent),
    (aiohttp.InvalidURL("::"), NotSent),
    (aiohttp.InvalidUrlClientError("::"), NotSent),
    (aiohttp.NonHttpUrlClientError("ftp:"), NotSent),
    (UnicodeError("label too long"), NotSent),
    (TimeoutError(), TimedOut),
    (aiohttp.ServerTimeoutError(), TimedOut),
    (aiohttp.SocketTimeoutError(), TimedOut),
    (aiohttp.ClientResponseError(REQUEST, ()), Nonsense),
    (aiohttp.ContentTypeError(REQUEST, ()), Nonsense),
    (aiohttp.TooManyRedirects(REQUEST, ()), Nonsense),
    (aiohttp.ClientHttpProxyError(REQUEST, ()), Nonsense),
    (aiohttp.ClientError(), Lost),
    (aiohttp.ClientConnectionError(), Lost),
    (aiohttp.ClientConnectionResetError(), Lost),
    (aiohttp.ClientOSError(), Lost),
    (aiohttp.ServerConnectionError(), Lost),
    (aiohttp.ServerDisconnectedError(), Lost),
    (aiohttp.ServerFingerprintMismatch(b"", b"", "h", 1), Lost),
    (aiohttp.ClientPayloadError(), Lost),
    (ConnectionResetError(), Lost),
    (BrokenPipeError(), Lost),
    (OSError(), Lost),
]

# Of WebSockets, of uploads in pieces and of redirects: the transport uses none of them.
NOT_OURS = {
    "WSServerHandshakeError",
    "UploadAbortedError",
    "RedirectClientError",
    "InvalidUrlRedirectClientError",
    "NonHttpUrlRedirectClientError",
}


@pytest.mark.parametrize(("below", "raised"), MAPPED, ids=[type(below).__name__ for below, _ in MAPPED])
async def test_every_exception_below_is_mapped(
    below: BaseException, raised: type[PayGovError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise below

    monkeypatch.setattr(aiohttp.ClientSession, "post", fail)
    transport = AioHttpTransport()
    with pytest.raises(PayGovError) as caught:
        await transport.post("http://127.0.0.1", b"", {}, 1.0)
    await transport.close()
    assert type(caught.value) is raised


def kinds(branch: type[BaseException]) -> set[str]:
    return {branch.__name__}.union(*(kinds(each) for each in branch.__subclasses__()))


def test_the_list_above_is_whole() -> None:
    ours = {name for name in kinds(aiohttp.ClientError) if hasattr(aiohttp.client_exceptions, name)}
    assert ours == {type(below).__name__ for below, _ in MAPPED if isinstance(below, aiohttp.ClientError)} | (
        ours & NOT_OURS
    )


# Mutual TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, and server.pem and client.pem that it signed, each with its key in the same file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("certificates")
    now = datetime.datetime.now(datetime.UTC)
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test ca")])
    ca_key = ec.generate_private_key(ec.SECP256R1())

    def certify(name: x509.Name, key: ec.EllipticCurvePrivateKey, is_ca: bool) -> x509.Certificate:
        return (
            x509.CertificateBuilder(
                issuer_name=ca_name,
                subject_name=name,
                public_key=key.public_key(),
                serial_number=x509.random_serial_number(),
                not_valid_before=now - datetime.timedelta(days=1),
                not_valid_after=now + datetime.timedelta(days=1),
            )
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(ca_key, hashes.SHA256())
        )

    for who in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = certify(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, who)]), key, False)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / f"{who}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    root = certify(ca_name, ca_key, True).public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(root)
    return folder


@pytest.fixture
async def mutual_tls(certificates: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server that wants a client certificate; gives its URL and the names of the clients it saw."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.load_cert_chain(certificates / "server.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    seen: list[Any] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peercert")["subject"])
        await read_request(reader)
        writer.write(http_reply(b"welcome"))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    yield f"https://localhost:{server.sockets[0].getsockname()[1]}", seen
    server.close()


async def test_the_client_certificate_is_shown(mutual_tls: Any, certificates: Path) -> None:
    url, seen = mutual_tls
    transport = AioHttpTransport(client_cert=str(certificates / "client.pem"))
    assert (await transport.post(url, b"", {}, PATIENT_S)).body == b"welcome"
    await transport.close()
    assert seen == [((("commonName", "client"),),)]


async def test_without_a_certificate_nothing_comes_of_it(mutual_tls: Any) -> None:
    url, seen = mutual_tls
    transport = AioHttpTransport()
    with pytest.raises((NotSent, Lost)):  # TLS 1.3 tells of a missing certificate only after the handshake.
        await transport.post(url, b"", {}, PATIENT_S)
    await transport.close()
    assert seen == []


def test_a_wrong_path_to_the_certificate_fails_at_start() -> None:
    with pytest.raises(OSError, match="No such file"):
        AioHttpTransport(client_cert="/nowhere/client.pem")
