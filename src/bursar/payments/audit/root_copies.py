"""Copies of the daily roots outside of the payments table, where a person who may write the table cannot change them.

    FILE                one line of JSON a day, appended; keep the file on another machine or on write-once storage
    s3://BUCKET/PREFIX  one object a day, which S3 Object Lock protects from everyone (mode COMPLIANCE)

An object is written with If-None-Match, so a copy is never replaced. The bucket must have Object Lock. Source: Amazon
S3 API reference, PutObject.
"""

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

import orjson

from bursar.clock import iso_ms
from bursar.payments.ledger.store_records.daily_roots import DailyRoot

S3_SCHEME: Final = "s3:"
RETENTION_DAYS: Final = 2_557
"""How long S3 refuses to remove or replace a copy: seven years."""
S3Client = Any
"""boto3's client of S3."""
T = TypeVar("T")
_ALREADY_THERE: Final = ("PreconditionFailed", "ConditionalRequestConflict")


class RootCopiesError(OSError):
    """The copies cannot be read or written; the text gives the place and the reason."""


class RootCopies(Protocol):
    """The copies of the daily roots in one place."""

    async def read(self) -> dict[str, str]:
        """Return date → root. Raises :class:`RootCopiesError`."""

    async def add(self, roots: Iterable[DailyRoot]) -> None:
        """Copy ``roots``, oldest first; a date that has a copy keeps it. Raises :class:`RootCopiesError`."""


def root_copies(place: str, client: S3Client | None = None) -> RootCopies:
    """Return the copies at ``place``, the path of a file or s3://BUCKET/PREFIX. ``client``: for tests.

    Raises ``ValueError`` for an address without a bucket.
    """
    if not place.startswith(S3_SCHEME):
        return FileCopies(Path(place))
    parts = urlsplit(place)
    if parts.scheme != "s3" or not parts.netloc:
        raise ValueError(f"must be a file or s3://BUCKET/PREFIX; got {place}")
    return S3Copies(parts.netloc, parts.path.strip("/"), client)


class FileCopies:
    """Copies in a file. Several processes may add to it at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> dict[str, str]:
        """See :class:`RootCopies`."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise RootCopiesError(f"{self._path}: {error.strerror}") from error
        return self._parsed(text)

    async def add(self, roots: Iterable[DailyRoot]) -> None:
        """See :class:`RootCopies`."""
        try:
            with self._path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.seek(0)
                known = self._parsed(file.read())
                for root in roots:
                    if root.date not in known:
                        file.write(orjson.dumps(_as_json(root)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except RootCopiesError:
            raise
        except OSError as error:
            raise RootCopiesError(f"{self._path}: {error.strerror}") from error

    def _parsed(self, text: bytes) -> dict[str, str]:
        copies: dict[str, str] = {}
        for number, line in enumerate(text.splitlines(), 1):
            try:
                entry = orjson.loads(line)
                copies.setdefault(str(entry["date"]), str(entry["root"]))
            except (ValueError, KeyError, TypeError) as error:
                raise RootCopiesError(f'{self._path}, line {number}: must be {{"date", "root", …}}') from error
        return copies


class S3Copies:
    """Copies in a bucket with Object Lock, one object a day."""

    def __init__(self, bucket: str, prefix: str, client: S3Client | None = None) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._client = client

    async def read(self) -> dict[str, str]:
        """See :class:`RootCopies`."""
        return await self._in_thread(self._read)

    async def add(self, roots: Iterable[DailyRoot]) -> None:
        """See :class:`RootCopies`."""
        await self._in_thread(self._add, list(roots))

    def _keys(self, s3: S3Client) -> Iterator[str]:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix):
            for entry in page.get("Contents", []):
                yield entry["Key"]

    def _read(self, s3: S3Client) -> dict[str, str]:
        copies: dict[str, str] = {}
        for key in self._keys(s3):
            try:
                copy = orjson.loads(s3.get_object(Bucket=self._bucket, Key=key)["Body"].read())
                copies[str(copy["date"])] = str(copy["root"])
            except (ValueError, KeyError, TypeError) as error:
                raise RootCopiesError(f's3://{self._bucket}/{key}: must be {{"date", "root", …}}') from error
        return copies

    def _add(self, s3: S3Client, roots: list[DailyRoot]) -> None:
        from botocore.exceptions import ClientError

        known = set(self._keys(s3))
        for root in roots:
            key = f"{self._prefix}{root.date}.json"
            if key in known:
                continue
            retained_until = datetime.fromtimestamp(root.created_at, UTC) + timedelta(days=RETENTION_DAYS)
            try:
                s3.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=orjson.dumps(_as_json(root)),
                    ContentType="application/json",
                    IfNoneMatch="*",
                    ChecksumAlgorithm="SHA256",  # S3 requires a checksum for an object with a lock
                    ObjectLockMode="COMPLIANCE",
                    ObjectLockRetainUntilDate=retained_until,
                )
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in _ALREADY_THERE:
                    raise

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return await asyncio.to_thread(lambda: work(self._connected(), *arguments))
        except (BotoCoreError, ClientError) as error:
            raise RootCopiesError(f"s3://{self._bucket}/{self._prefix}: {error}") from error

    def _connected(self) -> S3Client:
        if self._client is None:
            import boto3

            self._client = boto3.client("s3")
        return self._client


def _as_json(root: DailyRoot) -> dict[str, Any]:
    return {"date": root.date, "root": root.root, "events": root.events, "createdAt": iso_ms(root.created_at)}
