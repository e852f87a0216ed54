"""Kill the process at any point: the next process completes the payment from the record, once.

On both write paths: on the embedded store, and over HTTP on a DynamoDB without rules.
"""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bootstrap.whole_system import Up, clean_environment, running_up
from tests.support.dynamo.served import served
from tests.support.write_paths import WritePath

DYING_PORTAL = Path(__file__).parents[1] / "support" / "bootstrap" / "dying_portal.py"
REFERENCE = "7f6d2b1e-3c4a-4d5e-8f60-718293a4b5c6"
RESOLVED_WITHIN_S = 120


@pytest.fixture
def store(write_path: WritePath, tmp_path: Path) -> Iterator[list[str]]:
    """Yield the URL of the portals' store, as command line arguments; empty for the embedded store."""
    if write_path.swaps:
        yield []
        return
    with served(str(tmp_path / "dynamo.db")) as server:
        url = server.url.replace("http", "dynamodb+http")
        (tmp_path / "bursar.toml").write_text(f'store = "{url}"\n')
        yield [url]


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=RESOLVED_WITHIN_S) as reply:
        return json.load(reply)


def die(data: Path, point: str, store: list[str]) -> None:
    data.mkdir()
    dead = subprocess.run(
        [sys.executable, str(DYING_PORTAL), str(data), point, *store],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(),
        timeout=RESOLVED_WITHIN_S,
    )
    assert dead.returncode == -signal.SIGKILL, dead.stderr


def resolved(up: Up) -> Any:
    """Return the payment when it is no longer pending: the sweeper of the new process resolves it."""
    deadline = time.monotonic() + RESOLVED_WITHIN_S
    while time.monotonic() < deadline:
        payment = get(f"{up.portal_url}/details/{REFERENCE}")
        if payment["paymentStatus"] != "pending":
            return payment
        time.sleep(0.2)
    pytest.fail(f"not resolved within {RESOLVED_WITHIN_S} s: {payment}")


@pytest.mark.parametrize("point", ["before-complete", "after-complete"])
def test_a_process_killed_around_the_charge_leaves_a_payment_that_is_completed_once(
    point: str, store: list[str], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    die(data, point, store)
    with running_up(data) as up:
        assert (data / "bursar.db").exists() is not bool(store)
        payment = resolved(up)
        books = get(f"{up.simulator_url}/books")
        events = get(f"{up.portal_url}/details/{REFERENCE}/events")["events"]
    assert payment["paymentStatus"] == "success"
    assert [each["transactionStatus"] for each in payment["transactions"]] == ["processed"]
    assert books["charges"] == 1
    assert books["newest"][0]["paygov_tracking_id"] == payment["transactions"][0]["payGovTrackingId"]
    names = [event["name"] for event in events]
    assert names[:3] == ["started", "token_given", "claimed"]
    assert names.count("completed") == 1


@pytest.mark.usefixtures("store")
def test_kill_9_of_everything_in_mid_payment_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_up(data) as up:
        token = _post(f"{up.portal_url}/init", _init(REFERENCE))["token"]
        _post(f"{up.simulator_url}/pay/PLASTIC_CARD/Success?token={token}", None)
        up.kill()
    with running_up(data) as up:
        again = _post(f"{up.portal_url}/init", _init(REFERENCE))
        assert again["token"] == token
        assert _post(f"{up.portal_url}/process", {"token": token})["paymentStatus"] == "success"
        assert get(f"{up.simulator_url}/books")["charges"] == 1


def _init(reference: str) -> dict[str, Any]:
    return {
        "transactionReferenceId": reference,
        "fee": "PETITION_FILING_FEE",
        "urlSuccess": "http://localhost/done",
        "urlCancel": "http://localhost/cancelled",
        "metadata": {"docketNumber": "1-26"},
    }


def _post(url: str, body: dict[str, Any] | None) -> Any:
    content = b"" if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"content-type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=RESOLVED_WITHIN_S) as reply:
        return json.load(reply)
