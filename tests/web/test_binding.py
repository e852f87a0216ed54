"""An address, not the start of a name, decides what is loopback. A port that cannot be bound is a one-line error."""

import socket

import pytest

from bursar.web.binding import CannotBind, bind, is_loopback, listen


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "127.255.255.255", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "localhost"]
)
def test_addresses_that_only_this_machine_reaches_are_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "localhost.evil.example",
        "127.evil.example",
        "127.0.0.1.nip.io",
        "::1.evil",
        "::1234",
        "::ffff:10.0.0.1",
        "localhost.",
        "LOCALHOST",
        " localhost",
        "127.1",
        "127.",
        "2130706433",
        "0.0.0.0",
        "::",
        "10.0.0.1",
        "example.test",
        "",
    ],
)
def test_every_other_host_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_a_bound_socket_does_not_listen_and_does_not_block() -> None:
    with bind("127.0.0.1", 0) as bound:
        assert not bound.getblocking()
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 0


def test_a_listening_socket_listens_and_does_not_block() -> None:
    with listen("127.0.0.1", 0, 8) as listening:
        assert not listening.getblocking()
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1


def test_a_name_with_addresses_of_both_families_is_bound_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with bind("localhost", 0) as bound:
        assert bound.family == socket.AF_INET


def test_shared_sockets_share_a_port_and_others_do_not() -> None:
    with bind("127.0.0.1", 0, shared=True) as first:
        port = first.getsockname()[1]
        bind("127.0.0.1", port, shared=True).close()
        first.listen()
        with pytest.raises(CannotBind, match=rf"^cannot listen on 127\.0\.0\.1:{port}: Address already in use$"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "text"),
    [
        ("192.0.2.1", 0, "cannot listen on 192.0.2.1:0: this machine has no such address"),
        ("2001:db8::1", 80, "cannot listen on [2001:db8::1]:80: "),
        ("no-such-host.invalid", 0, "cannot listen on no-such-host.invalid:0: "),
        ("a" * 70 + ".example", 0, f"cannot listen on {'a' * 70}.example:0: "),
    ],
)
def test_an_address_that_cannot_be_bound_is_one_line(host: str, port: int, text: str) -> None:
    with pytest.raises(CannotBind) as refused:
        bind(host, port).close()
    assert str(refused.value).startswith(text)
    assert "\n" not in str(refused.value)
