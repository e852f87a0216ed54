"""The client of Athena's API on a real socket: signed requests, repetitions, refusals."""

import asyncio
import json
import time
from collections.abc import Callable

import pytest

from bursar.reports.athena.api import TRIES_MAX, AthenaApi, open_athena
from bursar.reports.errors import AthenaFailed
from bursar.web.aws import FixedKeys
from bursar.web.sigv4 import verify
from bursar.web.sigv4_signing import AwsKeys
from tests.support.scripted_server import Serve, http_reply

KEYS = AwsKeys("AKID", "secret")
Answer = Callable[[int], tuple[str, bytes]]


class Athena:
    """A server that answers the n-th request by ``answer`` and keeps the requests."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.slept: list[float] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in head.splitlines()[1:])
            }
            self.requests.append((headers, await reader.readexactly(int(headers["content-length"]))))
            status, body = self._answer(len(self.requests))
            writer.write(http_reply(body, status))
            await writer.drain()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def asked(scripted: Serve, answer: Answer) -> tuple[Athena, dict[str, object] | AthenaFailed]:
    athena = Athena(answer)
    api = AthenaApi(f"{await scripted(athena)}/", "us-east-1", FixedKeys(KEYS), sleep=athena.sleep)
    try:
        return athena, await api.call("GetQueryExecution", {"QueryExecutionId": "é"})
    except AthenaFailed as error:
        return athena, error
    finally:
        await api.close()


async def test_a_request_is_signed_and_its_answer_read(scripted: Serve) -> None:
    athena, answer = await asked(scripted, lambda number: ("200 OK", b'{"QueryExecution": {}}'))
    assert answer == {"QueryExecution": {}}
    [(headers, body)] = athena.requests
    assert json.loads(body) == {"QueryExecutionId": "é"}
    assert headers["x-amz-target"] == "AmazonAthena.GetQueryExecution"
    signer = verify(
        "POST", "/", "", headers, body,
        secret_for={KEYS.access_key: KEYS.secret}.get, service="athena", region="us-east-1", now=time.time(),
    )  # fmt: skip
    assert signer.access_key == "AKID"


@pytest.mark.parametrize(
    ("status", "code"), [("400 Bad Request", "TooManyRequestsException"), ("500 Oh", "InternalServerException")]
)
async def test_a_call_that_failed_for_a_moment_is_repeated(scripted: Serve, status: str, code: str) -> None:
    refusal = json.dumps({"__type": f"com.amazonaws.athena#{code}", "message": "slow down"}).encode()
    athena, answer = await asked(scripted, lambda number: (status, refusal) if number < 3 else ("200 OK", b"{}"))
    assert (answer, athena.slept) == ({}, [0.5, 1.0])
    athena, answer = await asked(scripted, lambda number: (status, refusal))
    assert len(athena.requests) == TRIES_MAX
    assert str(answer) == f"Athena refused GetQueryExecution: {code}: slow down"


async def test_a_refusal_is_not_repeated(scripted: Serve) -> None:
    refusal = b'{"__type": "InvalidRequestException", "Message": "WorkGroup is not found."}'
    athena, answer = await asked(scripted, lambda number: ("400 Bad Request", refusal))
    assert len(athena.requests) == 1
    assert str(answer) == "Athena refused GetQueryExecution: InvalidRequestException: WorkGroup is not found."


async def test_a_server_that_cannot_be_reached_is_named() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    api = AthenaApi("http://127.0.0.1:1/", "us-east-1", FixedKeys(KEYS), sleep=sleep)
    with pytest.raises(AthenaFailed, match=r"Athena cannot be reached: .*127\.0\.0\.1:1"):
        await api.call("GetQueryExecution", {})
    assert len(slept) == TRIES_MAX - 1


def test_an_account_needs_a_region_and_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(AthenaFailed, match="AWS credentials: must be configured; none were found"):
        open_athena()
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(AthenaFailed, match="AWS region: must be configured"):
        open_athena()
