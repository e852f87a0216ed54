"""`bursar up` from the outside: it starts, answers, stops, or gives one line with the reason."""

import contextlib
import http.client
import json
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bursar.bootstrap.generate.demo_history import DEMO_PAYMENTS
from bursar.bootstrap.up import check_portal
from bursar.settings import Settings
from bursar.startup import CannotStart
from tests.support.bootstrap.whole_system import bursar, clean_environment, running_up

UNUSABLE = 2
PAYGOV_NOWHERE = 'paygov_url = "http://127.0.0.1:9/"\npayment_url = "http://127.0.0.1:9/pay"\n'
DEVELOPMENT_CLIENT = "development_client = true\n"
CLIENTS = """[clients.dawson]
role_arn = "arn:aws:iam::123456789012:role/dawson"
fees = "*"
"""


def test_ctrl_c_stops_it_cleanly(tmp_path: Path) -> None:
    with running_up(tmp_path / "data") as up:
        assert up.stop() == 0


def test_a_busy_port_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for flag, who in (("--port", "the portal"), ("--simulator-port", "Pay.gov's simulator")):
            ports = {"--port": "0", "--simulator-port": "0"} | {flag: str(port)}
            done = bursar("up", *[word for pair in ports.items() for word in pair], cwd=tmp_path)
            assert done.returncode == UNUSABLE
            said = f"bursar: {who} cannot listen on 127.0.0.1:{port}: Address already in use"
            assert done.stderr == f"{said}; choose another with {flag}\n"


def test_a_data_folder_that_cannot_be_made_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = bursar("up", "--port", "0", "--simulator-port", "0", "--data", "file/data", cwd=tmp_path)
    assert done.returncode == UNUSABLE
    assert done.stderr.startswith("bursar: the store file:file/data/bursar.db cannot be opened: ")
    assert done.stderr.count("\n") == 1


def test_a_store_of_a_newer_format_is_one_line_and_exit_code_2_and_is_left_alone(tmp_path: Path) -> None:
    with running_up(tmp_path / "data") as up:
        up.stop()
    store = tmp_path / "data" / "bursar.db"
    with sqlite3.connect(store) as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()
    before = store.read_bytes()
    done = bursar("up", "--port", "0", "--simulator-port", "0", cwd=tmp_path)
    assert done.returncode == UNUSABLE
    assert "newer" in done.stderr
    assert done.stderr.count("\n") == 1
    assert store.read_bytes() == before


def test_a_bad_setting_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = bursar("up", "--port", "eighty", cwd=tmp_path)
    assert done.returncode == UNUSABLE
    assert done.stderr == "bursar: --port: must be a whole number; got 'eighty'\n"


def test_the_portal_alone_says_which_address_of_paygov_is_missing(tmp_path: Path) -> None:
    (tmp_path / "bursar.toml").write_text(DEVELOPMENT_CLIENT)
    done = bursar("portal", "--port", "0", cwd=tmp_path)
    assert done.returncode == UNUSABLE
    assert done.stderr.endswith("bursar: BURSAR_PAYGOV_URL is not set: the portal needs the address of Pay.gov\n")


def test_signatures_are_not_switched_off_where_others_can_reach_the_portal(tmp_path: Path) -> None:
    (tmp_path / "clients.toml").write_text(CLIENTS)
    (tmp_path / "bursar.toml").write_text('clients = "clients.toml"\n')
    done = bursar("portal", "--port", "0", "--host", "0.0.0.0", "--auth", "none", cwd=tmp_path)
    assert done.returncode == UNUSABLE
    assert "BURSAR_AUTH=none: must listen on loopback only, because signatures are off; got 0.0.0.0" in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost.evil.example", "127.0.0.1.nip.io"])
@pytest.mark.parametrize("auth", ["sigv4", "none"])
async def test_the_development_client_is_for_loopback_alone(host: str, auth: str, tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path / "data"), host=host, auth=auth, development_client=True)
    with pytest.raises(CannotStart, match=r"^BURSAR_CLIENTS: must name the clients' file .* BURSAR_HOST is "):
        await check_portal(settings)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_portal_does_not_start_with_a_webhook_to_a_private_address(workers: str, tmp_path: Path) -> None:
    webhooks = tmp_path / "webhooks.toml"
    webhooks.touch(0o600)
    secret = 'secret = "a secret of more than thirty-two characters"\n'
    webhooks.write_text(f'[webhooks.mine]\nclient = "development"\nurl = "https://169.254.169.254/"\n{secret}')
    settings = 'development_client = true\nwebhooks = "webhooks.toml"\n'
    (tmp_path / "bursar.toml").write_text(PAYGOV_NOWHERE + settings)
    done = bursar("portal", "--port", "0", "--workers", workers, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (UNUSABLE, "")
    assert done.stderr.splitlines()[-1] == (
        "bursar: BURSAR_WEBHOOKS: webhooks.toml: webhooks.mine.url: 169.254.169.254 is not a public address; "
        "BURSAR_WEBHOOKS_PRIVATE_TARGETS can allow its network"
    )


@pytest.mark.parametrize("auth", ["sigv4", "none"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_portal_does_not_start_without_clients(auth: str, workers: str, tmp_path: Path) -> None:
    (tmp_path / "bursar.toml").write_text(PAYGOV_NOWHERE)
    done = bursar("portal", "--port", "0", "--auth", auth, "--workers", workers, cwd=tmp_path)
    assert done.returncode == UNUSABLE
    assert done.stdout == ""
    assert done.stderr == (
        "bursar: BURSAR_CLIENTS is not set: name the clients' file, or set BURSAR_DEVELOPMENT_CLIENT=true to accept "
        "the development client, whose key is public\n"
    )


def test_up_is_for_loopback_alone(tmp_path: Path) -> None:
    (tmp_path / "bursar.toml").write_text('host = "0.0.0.0"\n')
    done = bursar("up", "--port", "0", "--simulator-port", "0", cwd=tmp_path)
    assert done.returncode == UNUSABLE
    assert done.stderr == (
        "bursar: BURSAR_HOST: must be loopback, because `bursar up` verifies no signatures; got 0.0.0.0. "
        "Use `bursar portal` to serve other machines\n"
    )
    assert not (tmp_path / "data").exists()


def test_an_unknown_path_is_an_error_in_json(tmp_path: Path) -> None:
    def ask(method: str, path: str, **headers: str) -> tuple[int, str | None, Any]:
        connection = http.client.HTTPConnection(up.portal_url.removeprefix("http://"), timeout=120)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            reply = connection.getresponse()
            return reply.status, reply.headers["allow"], json.loads(reply.read()).keys()

    shape = {"message": 0, "code": 0, "errors": 0}.keys()
    with running_up(tmp_path / "data") as up:
        assert ask("GET", "/nowhere") == (404, None, shape)
        assert ask("GET", "/dashboard/sign-out") == (405, "POST", shape)
        for path in ("/dashboard/transactions", "/transactions"):
            assert ask("GET", path, host="rebound.example") == (403, None, shape)


def test_the_portal_warns_that_it_accepts_the_development_client(tmp_path: Path) -> None:
    """Check the terminal, the log with its lines of JSON, and /health."""
    (tmp_path / "bursar.toml").write_text(PAYGOV_NOWHERE + DEVELOPMENT_CLIENT)
    command = [sys.executable, "-m", "bursar", "portal", "--port", "0", "--auth", "none"]
    portal = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=clean_environment() | {"PYTHONUNBUFFERED": "1"},
    )
    assert portal.stdout is not None
    where = portal.stdout.readline()
    assert where.startswith("Portal ")
    assert portal.stdout.readline().startswith("WARNING  THE DEVELOPMENT CLIENT IS ACCEPTED: its key is public")
    with contextlib.closing(http.client.HTTPConnection(where.split()[1].removeprefix("http://"))) as connection:
        connection.request("GET", "/health")
        health = json.loads(connection.getresponse().read())
    portal.send_signal(signal.SIGINT)
    logged = [json.loads(line) for line in portal.communicate(timeout=120)[1].splitlines()]
    warnings = str([line["message"] for line in logged if line["level"] == "warning"])
    assert "SIGNATURES ARE NOT VERIFIED" in warnings
    assert "THE DEVELOPMENT CLIENT IS ACCEPTED" in warnings
    assert health["developmentClient"] is True
    assert health.keys() == {"status", "environment", "timestamp", "checks", "developmentClient"}


def test_demo_makes_payments_and_prints_the_report(tmp_path: Path) -> None:
    with running_up(tmp_path / "data") as up:
        done = bursar(
            "demo", "--payments", "12", "--seed", "7", "--data", "data",
            "--portal-url", up.portal_url, "--simulator-url", up.simulator_url,
            cwd=tmp_path,
        )  # fmt: skip
        counted = bursar("sql", "SELECT count(*) AS n FROM payments", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "walked away" in done.stdout
    assert "PETITION_FILING_FEE" in done.stdout
    assert counted.returncode == 0, counted.stderr
    assert '"n":12' in counted.stdout.replace(" ", "")


def test_demo_without_a_portal_says_so(tmp_path: Path) -> None:
    done = bursar("demo", "--payments", "1", "--portal-url", "http://127.0.0.1:1", cwd=tmp_path)
    assert done.returncode == UNUSABLE
    assert "no answer: no connection to 127.0.0.1:1" in done.stderr


def test_demo_fills_a_new_store_once_and_the_overview_shows_it(tmp_path: Path) -> None:
    def payments() -> int:
        answer = bursar("sql", "SELECT count(*) AS n FROM payments", "--format", "csv", cwd=tmp_path)
        return int(answer.stdout.splitlines()[1])

    with running_up(tmp_path / "data", "--demo") as up:
        first = payments()
        assert first >= DEMO_PAYMENTS
        assert up.stop() == 0
    with running_up(tmp_path / "data", "--demo"):
        assert payments() == first
