"""The lake's function and the dashboard's, over S3 and Glue, after real payments."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import pytest

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.lambda_functions import dashboard
from bursar.bootstrap.lambda_functions import environment as function_environment
from bursar.bootstrap.lambda_functions.embedded_metrics import EmbeddedMetrics
from bursar.bootstrap.lambda_functions.lake import LakeDiffers, LakeWriting, _written
from bursar.bootstrap.lambda_functions.portal import make_handler
from bursar.portal.doors.aws_lambda import LambdaDoor
from bursar.reports.reports import Reports, Written
from bursar.reports.verification import MonthCheck, Tally, Verification
from bursar.startup import CannotStart
from tests.support.bootstrap.backend import Backend
from tests.support.bootstrap.function_calls import asked, begun

HOUR_S = 3600.0
LAKE_AN_HOUR_LATER = """
import sys, time
from functools import partial
from bursar.bootstrap.composition import Composition
from bursar.bootstrap.lambda_functions import environment
environment.Composition = partial(Composition, clock=lambda: time.time() + 3600)
from bursar.bootstrap.lambda_functions.lake import handler
print(handler({}, None), handler({}, None), handler({"verify": True}, None)["equal"])
print([name for name in ("duckdb", "sqlalchemy", "apsw", "prometheus_client") if name in sys.modules])
"""


@pytest.fixture
def portal() -> Iterator[LambdaDoor]:
    door = make_handler()
    yield door
    door.instance.close()


class LakeLater:
    """The lake's function an hour later than the payments: a row is written once it is older than the margin."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.function = LakeWriting()

    def __call__(self, event: Any) -> dict[str, Any]:
        with self._monkeypatch.context() as patch:
            later = partial(Composition, clock=lambda: time.time() + HOUR_S)
            patch.setattr(function_environment, "Composition", later)
            return self.function(event, None)


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> Iterator[LakeLater]:
    later = LakeLater(monkeypatch)
    yield later
    later.function.instance.close()


def paid(portal: LambdaDoor, backend: Backend) -> str:
    reference, token = begun(portal)
    backend.simulator.pay(token, "PLASTIC_CARD", "Success")
    assert asked(portal, "POST", "/process", {"token": token})[0] == 200
    return reference


def test_passes_write_the_lake_and_a_verification_finds_it_equal(
    portal: LambdaDoor, lake: LakeLater, backend: Backend, lake_url: str
) -> None:
    paid(portal, backend)
    first = lake({})
    assert first["rows"]["payment_events"] > 0
    paid(portal, backend)
    assert lake({})["rows"]["payments"] == 1
    assert lake({"verify": True})["equal"]
    assert "changes since" in lake({"verify": "recent"})["lines"][0]
    assert json.loads(json.dumps(first)) == first


@pytest.mark.parametrize(
    ("hour", "waited_h", "reported"), [(0, None, 0.0), (0, 1, 3600.0), (9, None, None), (9, 3, None), (9, 4, 14_400.0)]
)
def test_the_watermarks_age_is_reported_once_a_day_and_when_the_lake_is_late(
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    hour: int,
    waited_h: int | None,
    reported: float | None,
) -> None:
    now = 20_000 * 86_400.0 + hour * HOUR_S + 60

    class Late:
        def clock(self) -> float:
            return now

        async def write_lake(self) -> Written:
            return Written({}, None, None if waited_h is None else now - waited_h * HOUR_S)

    asyncio.run(_written((cast(Reports, Late()), EmbeddedMetrics("prod"))))
    points = [json.loads(line)["WatermarkAge"] for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert points == ([] if reported is None else [reported])
    alerts = [record.__dict__["alert"] for record in caplog.records if hasattr(record, "alert")]
    assert alerts == (["lake late"] if waited_h == 4 else [])


def test_a_proof_that_finds_a_difference_fails_and_names_it(
    portal: LambdaDoor, lake: LakeLater, backend: Backend, lake_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid(portal, backend)
    lake({})

    async def differing(self: Reports, *, recent_s: float | None) -> Verification:
        return Verification({"payments": None}, (MonthCheck("payments", "2026-11", Tally(2), Tally(1)),))

    monkeypatch.setattr(Reports, "verify_lake", differing)
    with pytest.raises(LakeDiffers, match="2026-11  DIFFERS  table: 2 rows"):
        lake({"verify": True})


def test_the_dashboard_has_the_payments_that_the_lake_does_not_hold_yet(
    portal: LambdaDoor, lake: LakeLater, backend: Backend, lake_url: str
) -> None:
    before = paid(portal, backend)
    lake({})
    after = paid(portal, backend)
    door = dashboard.make_handler()
    try:
        status, entries = asked(door, "GET", "/transactions/success")
        assert status == 200
        listed = [entry["transactionReferenceId"] for entry in entries["data"]]
        assert {before, after} <= set(listed)
        assert asked(door, "GET", "/transaction-payment-status")[0] == 200
        assert asked(door, "POST", "/init", {})[0] == 404
    finally:
        door.instance.close()


def test_a_lake_in_a_folder_is_refused(lake: LakeLater) -> None:
    with pytest.raises(CannotStart, match="BURSAR_LAKE: must be s3://BUCKET/PREFIX in a Lambda function"):
        lake({})


def test_the_lakes_function_loads_no_sql_engine(lake_url: str, portal: LambdaDoor, backend: Backend) -> None:
    paid(portal, backend)
    ended = subprocess.run([sys.executable, "-c", LAKE_AN_HOUR_LATER], capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1:] == ["[]"], ended.stderr
