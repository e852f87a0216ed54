"""`bursar dynamo deliver`: order, at least once, partial failures, shards, checkpoints, the target's answers."""

import json
import random
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from bursar.dynamo import Engine
from bursar.dynamo.commands import dynamo
from bursar.dynamo.tools.stream_delivery import (
    Checkpoint,
    DeliveryPosition,
    DeliveryRefused,
    Rejected,
    SendBatch,
    StreamDelivery,
    sender,
)
from tests.support.dynamo.stream_readers import HandClock, arn_of, opened, records_of, streamed
from tests.support.dynamo.tables import item, put
from tests.support.hypothesis_profiles import examples

HOUR_S = 3600.0


class Crash(Exception):
    """The process of a delivery ends here."""


class Target:
    """A target in memory: it accepts, fails, or accepts the first records of a batch, by a script."""

    def __init__(self, randomness: random.Random | None = None) -> None:
        self.received: list[str] = []
        self.done = False
        self.batches: list[int] = []
        self._randomness = randomness

    def __call__(self, records: list[dict[str, Any]]) -> None:
        self.batches.append(len(records))
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        outcome = self._randomness.random() if self._randomness else 1.0
        if outcome < 0.2:
            raise Rejected("busy")
        if outcome < 0.4:
            accepted = self._randomness.randrange(len(records)) if self._randomness else 0
            self.received += numbers[:accepted]
            raise Rejected("some failed", accepted)
        self.received += numbers
        if outcome < 0.5:
            raise Crash


def delivery(engine: Engine, send: SendBatch, checkpoint: Path, batch: int = 2) -> StreamDelivery:
    return StreamDelivery(
        engine.execute,
        send,
        Checkpoint(checkpoint),
        batch=batch,
        sleep=lambda _: None,
        report=lambda _: None,
    )


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def stocked(clock: HandClock) -> Engine:
    """Return an engine with a stream of five records."""
    engine = opened(clock)
    engine.execute("CreateTable", streamed())
    put(engine, "orders", *(item(pk="a", sk=str(number)) for number in range(5)))
    return engine


def numbers(engine: Engine) -> list[str]:
    return [record["dynamodb"]["SequenceNumber"] for record in records_of(engine, arn_of(engine))]


def test_every_record_is_delivered_in_order_and_the_next_run_goes_on(stocked: Engine, tmp_path: Path) -> None:
    target = Target()
    assert delivery(stocked, target, tmp_path / "c").run("orders", once=True) == 5
    assert (target.received, target.batches) == (numbers(stocked), [2, 2, 1])
    assert delivery(stocked, target, tmp_path / "c").run("orders", once=True) == 0
    put(stocked, "orders", item(pk="late", sk="1"))
    assert delivery(stocked, target, tmp_path / "c").run("orders", once=True) == 1
    assert target.received == numbers(stocked)


@examples(25)
@given(seed=st.integers(0, 10_000), batch=st.integers(1, 6))
def test_no_record_is_passed_over_whatever_fails(
    tmp_path_factory: pytest.TempPathFactory, seed: int, batch: int
) -> None:
    engine = opened(HandClock())
    engine.execute("CreateTable", streamed())
    put(engine, "orders", *(item(pk="a", sk=str(number)) for number in range(7)))
    target = Target(random.Random(seed))
    checkpoint = tmp_path_factory.mktemp("delivery") / "checkpoint"
    while True:
        try:
            delivery(engine, target, checkpoint, batch).run("orders", once=True)
            break
        except Crash:
            continue
    expected = numbers(engine)
    assert sorted(set(target.received), key=expected.index) == expected
    firsts = list(dict.fromkeys(target.received))
    assert firsts == expected
    engine.close()


def test_a_delivery_goes_on_in_the_next_shard(stocked: Engine, clock: HandClock, tmp_path: Path) -> None:
    target = Target()
    delivery(stocked, target, tmp_path / "c").run("orders", once=True)
    clock.now += 5 * HOUR_S
    put(stocked, "orders", item(pk="b", sk="1"), item(pk="c", sk="1"))
    assert delivery(stocked, target, tmp_path / "c").run("orders", once=True) == 2
    assert target.received == numbers(stocked)


def test_lost_records_are_an_error(stocked: Engine, clock: HandClock, tmp_path: Path) -> None:
    delivery(stocked, Target(), tmp_path / "c").run("orders", once=True)
    put(stocked, "orders", item(pk="b", sk="1"))
    clock.now += 60 * HOUR_S
    put(stocked, "orders", item(pk="c", sk="1"))
    with pytest.raises(DeliveryRefused, match="later ones may be lost"):
        delivery(stocked, Target(), tmp_path / "c").run("orders", once=True)


def test_a_delivery_that_runs_goes_on_after_days_without_a_record(
    stocked: Engine, clock: HandClock, tmp_path: Path
) -> None:
    target, start = Target(), clock.now

    def sleep(_: float) -> None:
        clock.now += HOUR_S / 6
        if clock.now > start + 48 * HOUR_S:
            put(stocked, "orders", item(pk="late", sk="1"))
            target.done = True

    class Done(Exception):
        pass

    def send(records: list[dict[str, Any]]) -> None:
        target(records)
        if target.done:
            raise Done

    running = StreamDelivery(
        stocked.execute, send, Checkpoint(tmp_path / "c"), batch=5, sleep=sleep, report=lambda _: None
    )
    with pytest.raises(Done):
        running.run("orders", once=False)
    assert (len(target.received), target.batches) == (6, [5, 1])


def test_an_iterator_that_expired_is_replaced(stocked: Engine, clock: HandClock, tmp_path: Path) -> None:
    target = Target()

    def send(records: list[dict[str, Any]]) -> None:
        clock.now += HOUR_S
        target(records)

    delivery(stocked, send, tmp_path / "c").run("orders", once=True)
    assert target.received == numbers(stocked)


def test_a_checkpoint_of_another_stream_is_refused(stocked: Engine, tmp_path: Path) -> None:
    stream = arn_of(stocked)
    Checkpoint(tmp_path / "c").write(DeliveryPosition(stream + "0", "shardId-0", None))
    with pytest.raises(DeliveryRefused, match="is of another stream"):
        delivery(stocked, Target(), tmp_path / "c").run("orders", once=True)
    (tmp_path / "c").write_text("{}")
    with pytest.raises(DeliveryRefused, match="must be the checkpoint of a delivery"):
        delivery(stocked, Target(), tmp_path / "c").run("orders", once=True)


# The target over HTTP -----------------------------------------------------------------------------------------

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def answers() -> list[Answer]:
    """Return the answers of the target, first to last; after them, it accepts."""
    return []


@pytest.fixture
def posted() -> list[Any]:
    return []


@pytest.fixture
def url(answers: list[Answer], posted: list[Any]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append((self.path, json.loads(body)))
            status, headers, content = answers.pop(0) if answers else (200, {}, b"null")
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/f?x=1"
    server.shutdown()
    thread.join()
    server.server_close()


def record(number: str) -> dict[str, Any]:
    return {"dynamodb": {"SequenceNumber": number}}


def failures(*identifiers: Any) -> bytes:
    return json.dumps({"batchItemFailures": [{"itemIdentifier": one} for one in identifiers]}).encode()


@pytest.mark.parametrize(
    ("answer", "accepted", "reason"),
    [
        ((500, {}, b""), 0, "HTTP 500"),
        ((302, {"Location": "/"}, b""), 0, "HTTP 302"),
        ((200, {"X-Amz-Function-Error": "Unhandled"}, b'{"errorMessage": "broke"}'), 0, "the function failed: broke"),
        ((200, {}, b'{"errorType": "Error", "errorMessage": "broke"}'), 0, "the function failed: broke"),
        ((200, {}, failures("3", "2")), 1, "2 batch item failures"),
        ((200, {}, failures("2", None)), 0, "2 batch item failures"),
        ((200, {}, failures("9")), 0, "1 batch item failures"),
    ],
)
def test_a_failed_answer_rejects(url: str, answers: list[Answer], answer: Answer, accepted: int, reason: str) -> None:
    answers.append(answer)
    with pytest.raises(Rejected, match=reason) as rejected:
        sender(url)([record("1"), record("2"), record("3")])
    assert rejected.value.accepted == accepted


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b"not json", b'{"batchItemFailures": []}'])
def test_any_other_success_accepts(url: str, answers: list[Answer], posted: list[Any], body: bytes) -> None:
    answers.append((200, {}, body))
    sender(url)([record("1")])
    assert posted == [("/f?x=1", {"Records": [record("1")]})]


def test_a_target_that_cannot_be_reached_rejects() -> None:
    with pytest.raises(Rejected, match=r"http://127\.0\.0\.1:9: "):
        sender("http://127.0.0.1:9")([record("1")])


# The command --------------------------------------------------------------------------------------------------


def run(*arguments: str) -> Result:
    return CliRunner().invoke(dynamo, list(arguments))


def test_the_command_delivers_lambdas_event(tmp_path: Path, url: str, posted: list[Any]) -> None:
    path = str(tmp_path / "store.db")
    engine = Engine.open(path)
    engine.execute("CreateTable", streamed())
    put(engine, "orders", item(pk="a", sk="1", n=1))
    stream = arn_of(engine)
    [record] = records_of(engine, stream)
    command = ("--data", path, "deliver", "orders", url, "--checkpoint", str(tmp_path / "checkpoint"), "--once")
    done = run(*command)
    assert (done.exit_code, done.output) == (0, "1 records\n")
    assert posted == [("/f?x=1", {"Records": [{**record, "eventSourceARN": stream}]})]
    assert run(*command).output == "0 records\n"
    engine.close()


@pytest.mark.parametrize(
    ("table", "target", "message"),
    [
        ("orders", "ftp://x", "target: must begin with http:// or https://; got ftp://x"),
        ("still", "http://127.0.0.1:9", "the table still has no stream"),
        ("absent", "http://127.0.0.1:9", "Table: absent not found"),
    ],
)
def test_the_command_refuses(tmp_path: Path, table: str, target: str, message: str) -> None:
    path = str(tmp_path / "store.db")
    engine = Engine.open(path)
    engine.execute("CreateTable", streamed())
    still = {name: part for name, part in streamed(name="still").items() if name != "StreamSpecification"}
    engine.execute("CreateTable", still)
    engine.close()
    done = run("--data", path, "deliver", table, target, "--checkpoint", str(tmp_path / "checkpoint"), "--once")
    assert done.exit_code == 2
    assert message in done.output
