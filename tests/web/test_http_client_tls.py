"""The HTTP client over TLS: it shows its client certificate, and a wrong path fails at start."""

import asyncio
import datetime
import ssl
from pathlib import Path
from typing import Any

import pytest

from bursar.web.http_client import HttpClient
from bursar.web.http_reply import ReplyLost, RequestNotSent
from tests.support.scripted_server import PATIENT_S, http_reply, read_request


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ca.pem, and with server.pem and client.pem signed by it, each with its key."""
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
    """Serve with TLS and require a client certificate. Yield the URL and a list of the clients' names."""
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
    client = HttpClient(client_cert=str(certificates / "client.pem"))
    assert (await client.post(url, b"", {}, PATIENT_S)).body == b"welcome"
    await client.close()
    assert seen == [((("commonName", "client"),),)]


async def test_a_checked_address_must_show_the_certificate_of_the_name(mutual_tls: Any, certificates: Path) -> None:
    """Connect to 127.0.0.1, and verify a certificate that holds only ``localhost``."""
    url, _ = mutual_tls
    client = HttpClient(client_cert=str(certificates / "client.pem"), address_refusal=lambda _: None)
    assert (await client.post(url, b"", {}, PATIENT_S)).body == b"welcome"
    with pytest.raises(RequestNotSent, match="CERTIFICATE_VERIFY_FAILED"):
        await client.post(url.replace("localhost", "127.0.0.1"), b"", {}, PATIENT_S)
    await client.close()


async def test_a_request_without_a_certificate_fails(mutual_tls: Any) -> None:
    url, seen = mutual_tls
    client = HttpClient()
    with pytest.raises((RequestNotSent, ReplyLost)):  # TLS 1.3 reports a missing certificate after the handshake.
        await client.post(url, b"", {}, PATIENT_S)
    await client.close()
    assert seen == []


def test_a_wrong_path_to_the_certificate_fails_at_start() -> None:
    with pytest.raises(OSError, match="No such file"):
        HttpClient(client_cert="/nowhere/client.pem")
