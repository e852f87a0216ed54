"""Servers as processes, with and without workers, and the errors that keep a server from starting."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import boto3
import pytest
from botocore.config import Config

from bursar.dynamo import Engine
from bursar.dynamo.server.serve import ServerSettings, require_safe, serve, url_of
from bursar.startup import CannotStart
from bursar.web.binding import bind
from tests.support.dynamo.server_clients import EchoEngine, connected, raw_request, serving

STARTS_WITHIN_S = 120.0
TABLE: dict[str, Any] = {
    "TableName": "notes",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


class Served:
    """`bursar dynamo` in a separate process."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bursar", "dynamo", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        self.url = self.line.partition('endpoint_url="')[2].partition('"')[0]

    def client(self) -> Any:
        return boto3.client(
            "dynamodb",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 5}),
        )

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=STARTS_WITHIN_S)
        return self.process.returncode, errors

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(child) for child in children.split()]


Serve = Callable[..., Served]


@pytest.fixture
def start() -> Iterator[Serve]:
    running: list[Served] = []

    def started(*arguments: str) -> Served:
        running.append(Served(*arguments))
        return running[-1]

    yield started
    for each in running:
        if each.process.poll() is None:
            os.killpg(each.process.pid, signal.SIGKILL)
        each.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_keeps_its_data_and_stops_cleanly(start: Serve, tmp_path: Path, number: int) -> None:
    path = str(tmp_path / "store.db")
    served = start("--data", path)
    assert path in served.line
    client = served.client()
    client.create_table(**TABLE)
    client.put_item(TableName="notes", Item={"pk": {"S": "a"}})
    assert served.stop(number) == (0, "")
    again = start("--data", path)
    assert "Item" in again.client().get_item(TableName="notes", Key={"pk": {"S": "a"}})
    again.stop()


def test_several_workers_share_a_file_and_stop_together(start: Serve, tmp_path: Path) -> None:
    served = start("--data", str(tmp_path / "store.db"), "--workers", "3")
    workers = served.workers()
    assert len(workers) == 3
    served.client().create_table(**TABLE)
    for number in range(12):  # a new client is a new connection, so that several workers answer
        served.client().put_item(TableName="notes", Item={"pk": {"S": str(number)}})
        assert served.client().scan(TableName="notes", Select="COUNT", ConsistentRead=True)["Count"] == number + 1
    assert served.stop() == (0, "")
    assert not any(map(_alive, workers))


def test_a_worker_that_dies_is_replaced(start: Serve, tmp_path: Path) -> None:
    served = start("--data", str(tmp_path / "store.db"), "--workers", "2")
    first = served.workers()
    os.kill(first[0], signal.SIGKILL)
    _until(lambda: len(served.workers()) == 2 and first[0] not in served.workers())
    _until(lambda: _answers(served))
    assert served.stop()[0] == 0


def test_workers_do_not_outlive_their_parent(start: Serve, tmp_path: Path) -> None:
    served = start("--data", str(tmp_path / "store.db"), "--workers", "2")
    workers = served.workers()
    served.process.kill()
    _until(lambda: not any(map(_alive, workers)))


def test_a_store_in_memory_is_served_by_one_worker(start: Serve) -> None:
    served = start()
    assert "in memory" in served.line
    assert _answers(served)
    served.stop()


def test_a_request_is_answered_once_the_server_is_ready(start: Serve, tmp_path: Path) -> None:
    served = start("--data", str(tmp_path / "store.db"))
    host, port = served.url.removeprefix("http://").split(":")
    socket.create_connection((host, int(port)), timeout=STARTS_WITHIN_S).close()
    served.stop()


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def _answers(served: Served) -> bool:
    return "TableNames" in served.client().list_tables()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.01)


# --- errors that keep a server from starting


def serve_nothing(**settings: Any) -> None:
    def announce(_url: str) -> None:
        raise AssertionError("it serves")

    serve(ServerSettings(**settings), open_engine=Engine.open, announce=announce)


def test_a_busy_port_is_one_line() -> None:
    with bind("127.0.0.1", 0, shared=False) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        for workers in (1, 2):
            with pytest.raises(CannotStart, match=rf"^cannot listen on 127\.0\.0\.1:{port}: Address already in use$"):
                serve_nothing(path="/tmp/never.db", port=port, workers=workers)


def test_a_port_shared_by_another_servers_workers_is_busy_too() -> None:
    with bind("127.0.0.1", 0, shared=True) as taken:
        taken.listen()
        with pytest.raises(CannotStart, match="Address already in use"):
            serve_nothing(path="/tmp/never.db", port=taken.getsockname()[1], workers=2)


def test_a_file_that_cannot_be_opened_is_explained(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_text("hello, I am no database at all, but long enough to be looked at" * 20)
    newer = tmp_path / "newer.db"
    Engine.open(str(newer)).close()
    with apsw.Connection(str(newer)) as connection:
        connection.execute("PRAGMA user_version=999")
    connection.close()
    for path, text in (
        (tmp_path / "absent" / "store.db", "there is no folder"),
        (tmp_path, "it is a folder"),
        (other, "is not a Bursar store"),
        (newer, "use a newer one"),
    ):
        for workers in (1, 2):
            with pytest.raises(CannotStart, match=text):
                serve_nothing(path=str(path), port=0, workers=workers)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_explained(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CannotStart, match=f"the folder {tmp_path} is not writable"):
        serve_nothing(path=str(tmp_path / "store.db"), port=0)


def test_workers_cannot_share_memory() -> None:
    with pytest.raises(CannotStart, match="must be 1 for a store in memory; got 2"):
        serve_nothing(path=":memory:", port=0, workers=2)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CannotStart, match=r"192\.0\.2\.1"):
        bind("192.0.2.1", 0, shared=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_keys(host: str) -> None:
    require_safe(host, None, open_to_anyone=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.test"])
def test_other_hosts_need_keys_or_the_option(host: str) -> None:
    with pytest.raises(CannotStart, match="--host: must be a loopback address without access keys; got"):
        require_safe(host, None, open_to_anyone=False)
    require_safe(host, None, open_to_anyone=True)


def test_a_url_can_be_reached_from_this_machine() -> None:
    assert url_of("0.0.0.0", 1) == "http://127.0.0.1:1"
    assert url_of("::1", 1) == "http://[::1]:1"


async def test_a_server_of_this_process_can_be_closed_with_clients_connected() -> None:
    async with serving(EchoEngine()) as server, connected(server) as client:
        assert (await client.ask(raw_request())).status == 200
        await server.close(within_s=0)
        assert await client.ended() == b""


def test_a_server_in_a_storm_reports_it_when_it_ends(start: Serve, tmp_path: Path) -> None:
    weather = tmp_path / "own.toml"
    weather.write_text('weather = "storm"\nerror_after_write_share = 0\nthrottled_share = 1.0\n[tables.notes]\n')
    served = start("--weather", str(weather), "--weather-seed", "3")
    client = served.client()
    client.create_table(**TABLE)
    with pytest.raises(client.exceptions.ThrottlingException) as raised:
        client.put_item(TableName="notes", Item={"pk": {"S": "a"}})
    assert raised.value.response["throttlingReasons"][0]["reason"] == "TableWriteKeyRangeThroughputExceeded"
    code, errors = served.stop()
    assert code == 0
    assert f"weather {weather}, seed 3: notes: 5 throttled" in errors.replace(" 1 slow_answer,", "")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--weather", "gale"), "--weather gale: must be calm, typical, storm, or a file whose name ends with .toml"),
        (("--weather", "storm", "--workers", "2"), "--workers: must be 1 in the weather; got 2"),
    ],
)
def test_weather_that_cannot_be_made_keeps_a_server_from_starting(options: tuple[str, ...], reason: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bursar", "dynamo", *options], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, f"bursar dynamo: {reason}\n")
