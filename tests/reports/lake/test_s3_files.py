"""The files of a lake on S3: metadata is read once in a minute, and everything else each time."""

from pathlib import Path
from typing import Any

import pytest
from pyiceberg.io.pyarrow import PyArrowFile

from bursar.reports.lake import s3_files
from bursar.reports.lake.s3_files import KNOWN_AGE_MAX_S, S3Files


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    known: dict[str, Any] = {}
    at = [1000.0]
    monkeypatch.setattr(s3_files, "_known", known)
    monkeypatch.setattr("bursar.reports.lake.s3_files.time.monotonic", lambda: at[0])
    return at


def content(path: Path) -> bytes:
    with S3Files().new_input(str(path)).open() as stream:
        return bytes(stream.read())


def test_metadata_is_read_again_after_a_minute(tmp_path: Path, now: list[float]) -> None:
    manifest, data = tmp_path / "a-m0.avro", tmp_path / "a.parquet"
    for file in (manifest, data):
        file.write_bytes(b"first")
        assert content(file) == b"first"
        file.write_bytes(b"second")
    assert (content(manifest), content(data)) == (b"first", b"second")
    assert len(S3Files().new_input(str(manifest))) == 5
    now[0] += KNOWN_AGE_MAX_S + 1
    manifest.unlink()
    with pytest.raises(FileNotFoundError):
        content(manifest)


def test_known_metadata_is_bounded(tmp_path: Path, now: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_files, "KNOWN_BYTES_MAX", 10)
    for number in range(5):
        (tmp_path / f"{number}.avro").write_bytes(b"1234")
        assert content(tmp_path / f"{number}.avro") == b"1234"
    assert [Path(location).stem for location in s3_files._known] == ["3", "4"]


def test_small_files_are_written_with_one_request() -> None:
    keys = {"s3.access-key-id": "x", "s3.secret-access-key": "y"}
    files = S3Files({"s3.region": "us-east-1", "s3.endpoint": "http://127.0.0.1:1", **keys})
    file = files.new_output("s3://bucket/a.avro")
    assert isinstance(file, PyArrowFile)
    (options,) = file._filesystem.__reduce__()[1]
    assert (options["allow_delayed_open"], options["endpoint_override"], options["region"]) == (
        True,
        "http://127.0.0.1:1",
        "us-east-1",
    )
