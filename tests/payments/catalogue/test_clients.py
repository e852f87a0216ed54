"""Clients: who they are, what they may charge, and a file that may change or break under a running portal."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bursar.payments.catalogue.clients import (
    RELOAD_CHECK_INTERVAL_S,
    Clients,
    ClientsError,
    parse_clients,
    role_identity,
)
from bursar.private_files import TooOpen

DAWSON = """
[clients.dawson]
role_arn = "arn:aws:iam::123456789012:role/apps/dawson"
fees = ["PETITION_FILING_FEE"]
access_keys = [{ access_key_id = "AKIADAWSON", secret = "a-secret-of-some-length" }]
"""
OTHER = """
[clients.other]
role_arn = "arn:aws:iam::123456789012:role/other"
fees = "*"
"""


class Wall:
    """A clock that tests move by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "clients.toml"
    path.touch(0o600)
    path.write_text(DAWSON)
    return path


@pytest.fixture
def clients(path: Path, wall: Wall) -> Clients:
    return Clients.load(path, clock=wall)


def rewrite(path: Path, text: str, wall: Wall) -> None:
    """Write another content with another stamp, and move the clock to the next check."""
    path.write_text(text)
    os.utime(path, (wall.now + 60, wall.now + 60))
    wall.now += RELOAD_CHECK_INTERVAL_S


def test_the_client_that_ships_may_charge_every_fee() -> None:
    client = Clients.default().by_name("development")
    assert client is not None
    assert client.may_charge("ANY_FEE")


@pytest.mark.parametrize("flag", ["reports", "sql", "reopen_after_full_return"])
def test_what_a_client_may_ask_is_off_unless_the_file_allows_it(path: Path, flag: str) -> None:
    client = Clients.load(path).by_name("dawson")
    path.write_text(DAWSON.replace("access_keys =", f"{flag} = true\naccess_keys ="))
    allowed = Clients.load(path).by_name("dawson")
    assert (getattr(client, flag), getattr(allowed, flag)) == (False, True)
    path.write_text(DAWSON.replace("access_keys =", f"{flag} = 1\naccess_keys ="))
    with pytest.raises(ClientsError, match=f"clients.dawson.{flag}: must be true or false; got 1"):
        Clients.load(path)


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::123456789012:role/apps/dawson",
        "arn:aws:sts::123456789012:assumed-role/dawson/i-0abc",
        "arn:aws:sts::123456789012:assumed-role/dawson/user@example.org",
    ],
)
def test_a_role_is_known_by_its_arn_and_by_its_sessions(clients: Clients, arn: str) -> None:
    client = clients.by_role_arn(arn)
    assert client is not None
    assert client.name == "dawson"


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "dawson",
        "arn:aws:iam::123456789012:user/dawson",
        "arn:aws:iam::999999999999:role/dawson",
        "arn:aws:sts::123456789012:assumed-role/dawson",
        "arn:aws:sts::123456789012:assumed-role/dawson/a/b",
        "arn:aws:sts::123456789012:assumed-role/DAWSON/session",
        "arn:aws-us-gov:sts::123456789012:assumed-role/dawson/session",
        "arn:aws:iam::123456789012:role/apps/dawson\n",
    ],
)
def test_nobody_else_is(clients: Clients, arn: str) -> None:
    assert clients.by_role_arn(arn) is None


def test_gov_cloud_arns_are_arns() -> None:
    assert role_identity("arn:aws-us-gov:iam::123456789012:role/x") == ("aws-us-gov", "123456789012", "x")


def test_a_client_charges_only_its_fees(clients: Clients) -> None:
    client = clients.by_name("dawson")
    assert client is not None
    assert client.may_charge("PETITION_FILING_FEE")
    assert not client.may_charge("COPY_FEE")


@pytest.mark.parametrize("other", ["PETITION_FILING_FEE_2", "PETITION_FILING", "FILING_FEE", "petition_filing_fee", ""])
def test_a_fee_with_a_similar_key_is_another_fee(clients: Clients, other: str) -> None:
    client = clients.by_name("dawson")
    assert client is not None
    assert not client.may_charge(other)


def test_an_access_key_leads_to_its_client_and_secret(clients: Clients) -> None:
    found = clients.by_access_key("AKIADAWSON")
    assert found is not None
    assert (found[0].name, found[1].secret) == ("dawson", "a-secret-of-some-length")
    assert clients.by_access_key("AKIANOBODY") is None


def test_a_secret_is_in_no_repr(clients: Clients) -> None:
    assert "a-secret" not in repr(clients.by_name("dawson"))
    assert "a-secret" not in repr(clients.by_access_key("AKIADAWSON"))


def test_a_changed_file_is_read_again(clients: Clients, path: Path, wall: Wall) -> None:
    rewrite(path, DAWSON + OTHER, wall)
    assert clients.by_name("other") is not None


@pytest.mark.parametrize(
    ("find", "name"),
    [
        (Clients.by_name, "dawson"),
        (Clients.by_role_arn, "arn:aws:iam::123456789012:role/apps/dawson"),
        (Clients.by_access_key, "AKIADAWSON"),
    ],
    ids=["name", "role", "access key"],
)
def test_a_client_that_was_removed_is_known_by_nothing(
    clients: Clients, path: Path, wall: Wall, find: Callable[[Clients, str], object], name: str
) -> None:
    assert find(clients, name) is not None
    rewrite(path, OTHER, wall)
    assert find(clients, name) is None


def test_the_file_is_checked_at_most_once_an_interval(clients: Clients, path: Path, wall: Wall) -> None:
    rewrite(path, OTHER, wall)
    wall.now -= RELOAD_CHECK_INTERVAL_S / 2
    assert clients.by_name("other") is None
    wall.now += RELOAD_CHECK_INTERVAL_S
    assert clients.by_name("other") is not None


def test_a_broken_file_leaves_the_old_clients_in_force_and_logs_an_error(
    clients: Clients, path: Path, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(path, DAWSON.replace("fees", "fee"), wall)
    assert clients.by_name("dawson") is not None
    assert not clients.reload()
    assert "clients not reloaded" in caplog.text
    assert "clients.dawson.fee: must be one of the known keys" in caplog.text
    assert "a-secret" not in caplog.text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_file_with_secrets_that_others_may_use_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(TooOpen) as refused:
        Clients.load(path)
    assert str(refused.value) == f"{path}: must be usable by its owner alone; got mode {mode:o}. Run: chmod 600 {path}"


def test_a_file_without_secrets_may_have_any_mode(path: Path) -> None:
    path.write_text(OTHER)
    path.chmod(0o644)
    assert Clients.load(path).names == ("other",)


def test_a_changed_file_that_others_may_use_is_not_read_until_its_mode_is_put_right(
    clients: Clients, path: Path, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    path.chmod(0o644)
    rewrite(path, DAWSON + OTHER, wall)
    assert clients.by_name("other") is None
    assert f"clients not reloaded, the old ones stay in force: {path}: must be usable by its owner" in caplog.text
    path.chmod(0o600)
    wall.now += RELOAD_CHECK_INTERVAL_S
    assert clients.by_name("other") is not None


def test_a_vanished_file_leaves_the_old_clients_in_force(
    clients: Clients, path: Path, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    path.unlink()
    wall.now += RELOAD_CHECK_INTERVAL_S
    assert clients.by_name("dawson") is not None
    assert "clients not reloaded" in caplog.text


def test_a_repaired_file_comes_into_force(
    clients: Clients, path: Path, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rewrite(path, "nonsense", wall)
    assert clients.by_name("other") is None
    wall.now += 60
    rewrite(path, OTHER, wall)
    assert clients.by_name("other") is not None
    assert clients.names == ("other",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("clients =", "clients.toml: must be TOML: "),
        ("", "clients.toml: clients: must"),
        ("extra = 1" + DAWSON, "clients.toml: extra: must be one of the known keys: clients"),
        ("clients.a = 1", "clients.toml: clients.a: must be a table"),
        ("[clients.'a b']", "clients.toml: clients.a b: must be a name of 1 to 64"),
        ("[clients.a]\nfees = '*'", "clients.toml: clients.a.role_arn: must be a role's ARN"),
        (DAWSON.replace("iam", "sts"), "clients.toml: clients.dawson.role_arn: must be a role's ARN"),
        (DAWSON.replace('["PETITION_FILING_FEE"]', '"X"'), "clients.toml: clients.dawson.fees: must be a list"),
        (
            DAWSON.replace("PETITION", "NO_SUCH"),
            "clients.toml: clients.dawson.fees: must be fees of the catalogue; got NO_SUCH",
        ),
        (
            DAWSON.replace("a-secret-of-some-length", "short"),
            "clients.toml: clients.dawson.access_keys[0].secret: must be text of at least 16",
        ),
        (
            DAWSON.replace("AKIADAWSON", "A B"),
            "clients.toml: clients.dawson.access_keys[0].access_key_id: must be 4 to 128",
        ),
        (DAWSON.replace("secret =", "sekret ="), "clients.toml: clients.dawson.access_keys[0].sekret: must be one of"),
        (
            DAWSON + DAWSON.replace("clients.dawson", "clients.twin"),
            "clients.toml: clients.twin.role_arn: must differ from that of clients.dawson",
        ),
        (
            DAWSON + DAWSON.replace("clients.dawson", "clients.twin"),
            "clients.toml: clients.twin.access_keys: must differ from that of clients.dawson",
        ),
        (
            "clients.a = 1" + DAWSON + DAWSON.replace("clients.dawson", "clients.twin"),
            "clients.toml: clients.twin.role_arn: must differ from that of clients.dawson",
        ),
    ],
)
def test_a_broken_file_names_the_place_of_the_problem(text: str, problem: str) -> None:
    with pytest.raises(ClientsError) as caught:
        parse_clients(text.encode(), source="clients.toml", known_fees={"PETITION_FILING_FEE"})
    assert any(line.startswith(problem) for line in str(caught.value).splitlines()), str(caught.value)
    assert "a-secret" not in str(caught.value)
