"""The files of an export, in the layout of Amazon's exports to S3.

    PREFIX/AWSDynamoDB/01800000000000-1a2b3c4d/
        _started                                    empty: the bucket can be written
        data/abcdefgh.json.gz, .ion.gz              one document a line; incremental exports: AWSDynamoDB/data/
        manifest-files.json    manifest-files.md5
        manifest-summary.json  manifest-summary.md5

Source: Developer Guide, "DynamoDB table export output format"; listings of real exports have ``.md5``, where the guide
says ``.checksum``.
"""

import gzip
import random
from base64 import b32encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from bursar.dynamo.buckets.buckets import put_bytes
from bursar.dynamo.buckets.port import Buckets, StoredObject

LINES_PER_FILE = 250_000
GZIP_LEVEL = 5
FOLDER = "AWSDynamoDB"
NAME_BYTES = 16


class ExportFiles:
    """The files of one export, while it is written."""

    def __init__(
        self,
        buckets: Buckets,
        bucket: str,
        prefix: str | None,
        export_id: str,
        randomness: random.Random,
        *,
        extension: str = "json",
    ) -> None:
        self._extension = extension
        self._buckets = buckets
        self._bucket = bucket
        self._randomness = randomness
        joined = "" if not prefix else prefix if prefix.endswith("/") else f"{prefix}/"
        self._root = f"{joined}{FOLDER}"
        self._folder = f"{self._root}/{export_id}"
        self.manifest = f"{self._folder}/manifest-summary.json"
        """The key of the summary manifest."""
        self.files_manifest = f"{self._folder}/manifest-files.json"

    def start(self) -> None:
        """Write the empty file that shows that the bucket can be written."""
        put_bytes(self._buckets, self._bucket, f"{self._folder}/_started", b"")

    def write(self, lines: Iterable[bytes], *, incremental: bool) -> int:
        """Write the data files and their manifest; return the number of lines. An empty export has an empty file."""
        data = f"{self._root}/data" if incremental else f"{self._folder}/data"
        files: list[bytes] = []
        total, count = 0, LINES_PER_FILE
        remaining = iter(lines)
        with TemporaryDirectory() as scratch:
            while count == LINES_PER_FILE:
                path = Path(scratch) / "data.json.gz"
                count = _write_lines(path, remaining)
                if count or not files:
                    key = f"{data}/{self._name()}.{self._extension}.gz"
                    files.append(_entry(key, count, self._buckets.put(self._bucket, key, path)))
                    total += count
        self._put_with_md5(self.files_manifest, b"".join(files))
        return total

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the summary manifest, the last file of an export."""
        self._put_with_md5(self.manifest, orjson.dumps(summary))

    def _put_with_md5(self, key: str, content: bytes) -> None:
        stored = put_bytes(self._buckets, self._bucket, key, content)
        put_bytes(self._buckets, self._bucket, key.removesuffix(".json") + ".md5", stored.md5.encode())

    def _name(self) -> str:
        return b32encode(self._randomness.randbytes(NAME_BYTES)).decode().rstrip("=").lower()


def _write_lines(path: Path, lines: Iterable[bytes]) -> int:
    """Write at most ``LINES_PER_FILE`` lines; return their number."""
    count = 0
    with path.open("wb") as raw, gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as packed:
        for line in lines:
            packed.write(line)
            count += 1
            if count == LINES_PER_FILE:
                break
    return count


def _entry(key: str, count: int, stored: StoredObject) -> bytes:
    entry = {"itemCount": count, "md5Checksum": stored.md5, "etag": stored.etag, "dataFileS3Key": key}
    return orjson.dumps(entry) + b"\n"
