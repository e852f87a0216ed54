"""Targets: public addresses, and private ones in the networks that the operator allows."""

import asyncio
import ipaddress
import logging

import pytest

from bursar.portal.webhooks.subscriptions import Subscription
from bursar.portal.webhooks.targets import AllowedTargets, refused_targets

SECRET = "a secret of more than thirty-two characters"
PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1",
    "2002:0a00:0001::1", "ff02::1", "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1", "::10.0.0.1", "::ffff:0:10.0.0.1",
    "fec0::1",
]  # fmt: skip


def _allowed(*networks: str) -> AllowedTargets:
    return AllowedTargets([ipaddress.ip_network(each) for each in networks])


def _to(url: str, name: str = "status") -> Subscription:
    return Subscription(name, "dawson", url, SECRET)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_and_link_local_targets_are_refused(address: str) -> None:
    assert _allowed()(address) == f"{address} is not a public address"


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::93.184.216.34"])
def test_public_targets_are_admitted(address: str) -> None:
    assert _allowed()(address) is None
    assert _allowed("10.0.0.0/8")(address) is None


def test_a_private_network_admits_its_own_addresses_alone() -> None:
    allowed = _allowed("10.1.0.0/16", "fd00::/64")
    assert [address for address in PRIVATE if allowed(address) is None] == ["10.1.2.3", "fd00::1"]


async def test_refused_targets_are_named_and_unknown_names_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    subscriptions = [
        _to("https://localhost:8443/hook", "a"),
        _to("https://93.184.216.34/hook", "b"),
        _to("https://[fe80::1]/hook", "c"),
        _to("https://no-such-host.invalid/hook", "d"),
    ]
    with caplog.at_level(logging.WARNING, "bursar"):
        problems = await refused_targets(subscriptions, _allowed())
    assert [problem.partition(": ")[0] for problem in problems] == ["webhooks.a.url", "webhooks.c.url"]
    assert all(problem.endswith("is not a public address") for problem in problems)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["webhook d"]
    assert await refused_targets(subscriptions[:1], _allowed("127.0.0.0/8", "::1/128")) == []


async def test_one_refused_address_of_several_refuses_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*_asked: object, **_more: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    assert await refused_targets([_to("https://dawson.example/")], _allowed()) == [
        "webhooks.status.url: 10.0.0.1 is not a public address"
    ]
