"""A lake built from a moved store, on S3, has the rows of the old lake in a folder, now and as of the past."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.generate.commands import generate
from bursar.bootstrap.move.commands import move
from bursar.cli import Factories
from bursar.clock import system_clock
from bursar.settings import Settings
from tests.support.bootstrap.moto_aws import BUCKET, ENVIRONMENT, MotoAws

QUESTIONS = (
    "SELECT * FROM payments ORDER BY agency_tracking_id",
    "SELECT * FROM payment_events ORDER BY agency_tracking_id, seq",
    "SELECT * FROM payment_postings ORDER BY ALL",
)
AS_OF_DAYS = (3, 10, 20)


def test_a_lake_built_on_s3_after_a_move_answers_as_the_folder_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("BURSAR_", "AWS_"))]:
        monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    for command, arguments in (
        (generate, ("--payments", "60", "--months", "1", "--seed", "5")),
        (move, ("file:data/bursar.db", "file:new/bursar.db")),
    ):
        ran = CliRunner().invoke(command, arguments, obj=Factories())
        assert ran.exit_code == 0, ran.output
    with MotoAws().running() as aws:
        options = (
            f"catalog=glue&glue.endpoint={aws.url}&glue.region=us-east-1&s3.endpoint={aws.url}&s3.region=us-east-1"
        )
        old = asyncio.run(answers("file:data/bursar.db", f"file:{tmp_path}/lake"))
        new = asyncio.run(answers("file:new/bursar.db", f"s3://{BUCKET}/payments?{options}"))
    assert len(old) == len(QUESTIONS) * (1 + len(AS_OF_DAYS))
    assert old[0]
    assert new == old


async def answers(store: str, lake: str) -> list[list[Any]]:
    """Build the lake of a store, prove it, and return the rows of every question, now and as of the past."""
    async with Composition(Settings(store=store, lake=lake), creates_store=False) as parts:
        reports = await parts.reports()
        await reports.write_lake()
        assert (await reports.verify_lake()).equal
        instants = [system_clock() - timedelta(days=days).total_seconds() for days in AS_OF_DAYS]
        day_starts = [instant - instant % 86_400 for instant in instants]
        return [
            (await reports.sql(question, as_of=as_of)).rows for question in QUESTIONS for as_of in (None, *day_starts)
        ]
