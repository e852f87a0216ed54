"""Copies of the daily roots in a file and in a bucket with Object Lock (S3 is moto's)."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from bursar.payments.audit.root_copies import RETENTION_DAYS, FileCopies, RootCopiesError, S3Copies, root_copies
from bursar.payments.ledger.store_records.daily_roots import DailyRoot

ONE = DailyRoot("2026-11-28", "A" * 43, 7, 1_796_000_000.0)
OTHER = DailyRoot("2026-11-29", "B" * 43, 0, 1_796_086_400.0)
FORGED = DailyRoot("2026-11-28", "F" * 43, 7, 1_796_000_000.0)


async def test_a_file_gets_one_line_a_day(tmp_path: Path) -> None:
    path = tmp_path / "roots.jsonl"
    copies = root_copies(str(path))
    assert await copies.read() == {}
    await copies.add([ONE])
    await copies.add([ONE, OTHER])
    assert path.read_text().splitlines()[0] == (
        f'{{"date":"2026-11-28","root":"{"A" * 43}","events":7,"createdAt":"2026-11-30T00:53:20.000Z"}}'
    )
    assert await copies.read() == {"2026-11-28": "A" * 43, "2026-11-29": "B" * 43}


async def test_a_copy_in_a_file_is_never_replaced(tmp_path: Path) -> None:
    copies = FileCopies(tmp_path / "roots.jsonl")
    await copies.add([ONE])
    await copies.add([FORGED])
    assert await copies.read() == {ONE.date: ONE.root}


async def test_the_first_line_of_a_day_counts_and_an_appended_one_does_not(tmp_path: Path) -> None:
    path, forgery = tmp_path / "roots.jsonl", tmp_path / "forgery.jsonl"
    await FileCopies(path).add([ONE, OTHER])
    await FileCopies(forgery).add([FORGED])
    with path.open("ab") as file:
        file.write(forgery.read_bytes())
    assert await FileCopies(path).read() == {ONE.date: ONE.root, OTHER.date: OTHER.root}


async def test_a_line_that_is_no_root_is_named(tmp_path: Path) -> None:
    path = tmp_path / "roots.jsonl"
    path.write_text('{"date": "2026-11-28"}\n')
    with pytest.raises(RootCopiesError, match=r"roots\.jsonl, line 1: must be"):
        await FileCopies(path).read()


async def test_nothing_is_added_to_a_file_with_a_line_that_is_no_root(tmp_path: Path) -> None:
    path = tmp_path / "roots.jsonl"
    path.write_text("no JSON\n")
    with pytest.raises(RootCopiesError, match=r"roots\.jsonl, line 1: must be"):
        await FileCopies(path).add([ONE])
    assert path.read_text() == "no JSON\n"


async def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(RootCopiesError, match="absent"):
        await FileCopies(tmp_path / "absent" / "roots.jsonl").add([ONE])


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client of an S3 in memory with a bucket that has Object Lock."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="roots", ObjectLockEnabledForBucket=True)
        yield client


async def test_each_day_is_an_object_that_nobody_can_remove_for_years(s3: Any) -> None:
    copies = root_copies("s3://roots/bursar/production", s3)
    await copies.add([ONE])
    await copies.add([ONE, OTHER])
    assert await copies.read() == {"2026-11-28": "A" * 43, "2026-11-29": "B" * 43}
    stored = s3.head_object(Bucket="roots", Key="bursar/production/2026-11-28.json")
    assert stored["ObjectLockMode"] == "COMPLIANCE"
    assert stored["ObjectLockRetainUntilDate"] == datetime.fromtimestamp(ONE.created_at, UTC) + timedelta(
        days=RETENTION_DAYS
    )


async def test_an_object_is_never_replaced(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await S3Copies("roots", "", s3).add([ONE])
    with monkeypatch.context() as patch:
        patch.setattr(S3Copies, "_keys", lambda _copies, _s3: iter([]))  # another process wrote it after the list
        await S3Copies("roots", "", s3).add([FORGED])
    assert (
        s3.get_object(Bucket="roots", Key="2026-11-28.json")["Body"]
        .read()
        .startswith(b'{"date":"2026-11-28","root":"AAA')
    )


async def test_a_bucket_without_object_lock_is_an_error(s3: Any) -> None:
    s3.create_bucket(Bucket="unlocked")
    with pytest.raises(RootCopiesError, match=r"s3://unlocked/"):
        await S3Copies("unlocked", "", s3).add([ONE])


def test_an_address_without_a_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a file or s3://BUCKET/PREFIX; got s3:roots"):
        root_copies("s3:roots")
    assert asyncio.run(FileCopies(Path("absent")).read()) == {}
