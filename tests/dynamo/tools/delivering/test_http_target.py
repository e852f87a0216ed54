"""`bursar dynamo deliver` to an HTTP target: what is posted, and what each answer accepts."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bursar.dynamo import Engine
from bursar.dynamo.commands import dynamo
from bursar.dynamo.tools.delivering.delivery import Rejected
from bursar.dynamo.tools.delivering.http_target import HttpTarget
from tests.support.dynamo.stream_readers import arn_of, records_of, streamed
from tests.support.dynamo.tables import item, put

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


async def sent(url: str, records: list[dict[str, Any]]) -> None:
    target = HttpTarget(url)
    try:
        await target.send(records)
    finally:
        await target.close()


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
async def test_a_failed_answer_rejects(
    url: str, answers: list[Answer], answer: Answer, accepted: int, reason: str
) -> None:
    answers.append(answer)
    with pytest.raises(Rejected, match=reason) as rejected:
        await sent(url, [record("1"), record("2"), record("3")])
    assert rejected.value.accepted == accepted


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b"not json", b'{"batchItemFailures": []}'])
async def test_any_other_success_accepts(url: str, answers: list[Answer], posted: list[Any], body: bytes) -> None:
    answers.append((200, {}, body))
    await sent(url, [record("1")])
    assert posted == [("/f?x=1", {"Records": [record("1")]})]


async def test_a_target_that_cannot_be_reached_rejects() -> None:
    with pytest.raises(Rejected, match=r"http://127\.0\.0\.1:9: "):
        await sent("http://127.0.0.1:9", [record("1")])


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
