"""Backup, loss and restore of a running portal, with real processes and files: no payer is charged twice."""

import json
import shutil
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest

from bursar.bootstrap.up import BOOKS_FILE
from tests.support.bootstrap.whole_system import Up, bursar, running_up

ANSWER_TIMEOUT_S = 120


def ask(url: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Return the status and the JSON of an answer; POST with a body, GET without."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def init(up: Up, reference: str) -> tuple[int, Any]:
    order = {
        "transactionReferenceId": reference,
        "fee": "PETITION_FILING_FEE",
        "urlSuccess": "https://app.example/success",
        "urlCancel": "https://app.example/cancel",
        "metadata": {"docketNumber": "123-26"},
    }
    return ask(f"{up.portal_url}/init", order)


def code_of(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["code"]


def token_of(up: Up, reference: str) -> str:
    status, answer = init(up, reference)
    assert status == 200, answer
    token: str = answer["token"]
    return token


def pay(up: Up, token: str) -> None:
    """Pay as the payer, and process the token as the application."""
    assert ask(f"{up.simulator_url}/pay/PLASTIC_CARD/Success?token={token}", {})[0] == 200
    status, answer = ask(f"{up.portal_url}/process", {"token": token})
    assert (status, answer["paymentStatus"]) == (200, "success")


def charges(data: Path) -> int:
    return sum(json.loads(line).get("event") == "completed" for line in (data / BOOKS_FILE).read_text().splitlines())


def lose_store(data: Path) -> None:
    for each in data.glob("bursar.db*"):
        if each.name != "bursar.db.generation":
            each.unlink()
    shutil.rmtree(data / "lake", ignore_errors=True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_a_restored_portal_finds_what_was_paid_since_the_backup(data: Path, tmp_path: Path) -> None:
    before, after = str(uuid.uuid4()), str(uuid.uuid4())
    backup = tmp_path / "backup.db"
    with running_up(data) as up:
        token = token_of(up, before)
        made = bursar("backup", "--data", str(data), str(backup), cwd=tmp_path)
        assert (made.returncode, backup.stat().st_mode & 0o777) == (0, 0o600), made.stderr
        pay(up, token)
        lost_token = token_of(up, after)
        pay(up, lost_token)
        up.kill()
    lose_store(data)
    restored = bursar("restore", "--data", str(data), str(backup), cwd=tmp_path)
    assert restored.returncode == 0, restored.stderr
    assert "bursar restored --clear" in restored.stdout
    with running_up(data) as up:
        assert ask(f"{up.portal_url}/health")[1]["restored"]["by"] == "bursar restore"
        status, answer = ask(f"{up.portal_url}/process", {"token": token})
        assert status == 410 or answer["paymentStatus"] == "success"  # 410: the sweeper has found it first
        assert ask(f"{up.portal_url}/details/{before}")[1]["paymentStatus"] == "success"
        status, answer = ask(f"{up.portal_url}/process", {"token": lost_token})
        assert (status, "call init with the same reference" in answer["message"]) == (404, True)
        assert code_of(init(up, after)) == (409, "already_paid")
        assert ask(f"{up.portal_url}/details/{after}")[1]["paymentStatus"] == "success"
        assert code_of(init(up, str(uuid.uuid4()))) == (504, "in_doubt_since_restore")
        assert up.stop() == 0
    assert charges(data) == 2


def test_a_store_that_was_copied_by_hand_is_recognised(data: Path, tmp_path: Path) -> None:
    reference = str(uuid.uuid4())
    with running_up(data) as up:
        assert up.stop() == 0
    shutil.copy(data / "bursar.db", tmp_path / "copy.db")
    with running_up(data) as up:
        pay(up, token_of(up, reference))
        up.kill()
    lose_store(data)
    shutil.copy(tmp_path / "copy.db", data / "bursar.db")
    with running_up(data) as up:
        assert ask(f"{up.portal_url}/health")[1]["restored"]["by"] == "found at start"
        assert code_of(init(up, reference)) == (409, "already_paid")
        assert up.stop() == 0
    assert charges(data) == 1
    shown = bursar("restored", cwd=tmp_path)  # the data folder of the test is the default one
    assert (shown.returncode, "THE MARK IS OPEN" in shown.stdout) == (1, True), shown.stderr
    cleared = bursar("restored", "--clear", "--by", "Ada", "--reason", "compared", cwd=tmp_path)
    assert cleared.returncode == 0, cleared.stderr
    with running_up(data) as up:
        assert "restored" not in ask(f"{up.portal_url}/health")[1]
        token_of(up, str(uuid.uuid4()))


@pytest.mark.parametrize("killed", [False, True])
def test_a_store_that_stayed_in_its_place_is_not_taken_for_a_restored_one(data: Path, killed: bool) -> None:
    for _ in range(3):
        with running_up(data) as up:
            assert "restored" not in ask(f"{up.portal_url}/health")[1]
            token_of(up, str(uuid.uuid4()))
            if killed:
                up.kill()
            else:
                up.stop()


def test_a_backup_is_consistent_while_the_portal_writes(data: Path, tmp_path: Path) -> None:
    with running_up(data) as up:
        tokens = [token_of(up, str(uuid.uuid4())) for _ in range(30)]
        began = time.monotonic()
        made = bursar("backup", "--data", str(data), str(tmp_path / "backup.db"), cwd=tmp_path)
        assert made.returncode == 0, made.stderr
        for token in tokens[:5]:
            pay(up, token)
        assert time.monotonic() - began < ANSWER_TIMEOUT_S
    sound = bursar("dynamo", "--data", str(tmp_path / "backup.db"), "check", cwd=tmp_path)
    assert sound.stdout == "sound\n"
