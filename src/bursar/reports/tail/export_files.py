"""Read an export of DynamoDB to S3, full or incremental, from a folder or from S3.

    PREFIX/AWSDynamoDB/EXPORT-ID/manifest-summary.json    times, table, number of items      + .md5 or .checksum
                                 manifest-files.json      a line for each data file           + .md5 or .checksum
                                 data/….json.gz           {"Item": …} a line, of a full export
    PREFIX/AWSDynamoDB/data/….json.gz                     {"Keys": …, "NewImage": …} a line, of an incremental one

An export is checked as a whole before a row of it is used: checksums, files, numbers of items, and every line.
Source: Developer Guide, "DynamoDB table export output format". Real exports have ``.md5`` where the guide says
``.checksum``.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

import orjson

from bursar.clock import from_iso_ms, iso_ms
from bursar.dynamo.buckets.buckets import EndpointBuckets, FolderBuckets
from bursar.dynamo.buckets.import_files import LINE_BYTES_MAX, BadLine, opened
from bursar.dynamo.buckets.port import BucketDenied, Buckets
from bursar.dynamo.items.attribute_values import Item
from bursar.reports.errors import BadExport

SUMMARY: Final = "manifest-summary.json"
FORMAT: Final = "DYNAMODB_JSON"
_CHECKSUMS: Final = (".md5", ".checksum")
_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class _ExportFolder:
    """The folder ``AWSDynamoDB`` of an export: the keys that begin with ``prefix`` in a bucket."""

    buckets: Buckets
    bucket: str
    prefix: str

    def open(self, path: str) -> IO[bytes]:
        """Open a file by its path in the folder. Raises :class:`BadExport`."""
        try:
            return self.buckets.read(self.bucket, f"{self.prefix}{path}")
        except BucketDenied as error:
            raise BadExport(f"the export: must have the file {path}; it cannot be read: {error}") from error

    def bytes_of(self, path: str) -> bytes:
        """Return the content of a small file. Raises :class:`BadExport`."""
        with self.open(path) as file:
            return file.read()


@dataclass(frozen=True, slots=True)
class _DataFile:
    path: str
    md5: str
    items: int


@dataclass(frozen=True, slots=True)
class Export:
    """An export whose manifests were checked: the table, the times (epoch s), and its data files.

    ``since`` is None for a full export, which has the state at ``until``. An incremental one has the last state of
    every item that changed from ``since``, included, to ``until``, excluded.
    """

    table: str
    table_id: str
    since: float | None
    until: float
    item_count: int
    _place: _ExportFolder
    _files: tuple[_DataFile, ...]

    def check(self) -> Iterator[Item]:
        """Yield the items while checking checksums and counts. Raises :class:`BadExport`."""
        total = 0
        for file in self._files:
            with self._place.open(file.path) as content:
                digest = hashlib.md5(usedforsecurity=False)
                while piece := content.read(_PIECE_BYTES):
                    digest.update(piece)
            if _base64(digest.digest()) != file.md5:
                raise BadExport(f"{file.path}: must have the checksum of the manifest, {file.md5}; it is damaged")
            count = 0
            for document in self._documents(file):
                count += 1
                yield from self._items(document)
            if count != file.items:
                raise BadExport(f"{file.path}: must have {file.items} items; got {count}")
            total += count
        if total != self.item_count:
            raise BadExport(f"the export: must have {self.item_count} items; got {total}")

    def items(self) -> Iterator[Item]:
        """Yield the items; a deleted item of an incremental export is left out. Raises :class:`BadExport`."""
        for file in self._files:
            for document in self._documents(file):
                yield from self._items(document)

    def _items(self, document: Any) -> Iterator[Item]:
        name = "Item" if self.since is None else "NewImage"
        item = document.get(name)
        if isinstance(item, dict):
            yield item
        elif self.since is None:
            raise BadExport(f"the export: must have an Item in each line; got the members {', '.join(document)[:80]}")

    def _documents(self, file: _DataFile) -> Iterator[dict[str, Any]]:
        with self._place.open(file.path) as raw, opened(raw, "GZIP") as content:
            number = 0
            try:
                while line := content.readline(LINE_BYTES_MAX + 1):
                    number += 1
                    document = orjson.loads(line)
                    if not isinstance(document, dict):
                        raise BadLine("must be an object")
                    yield document
            except (BadLine, orjson.JSONDecodeError) as error:
                raise BadExport(f"{file.path}, line {number}: must be an item in JSON: {error}") from error


def open_export(place: str) -> Export:
    """Return the export whose folder, named by its id, is ``place``: a path, or ``s3://BUCKET/PREFIX/AWSDynamoDB/ID``.

    Its manifests are checked, and its data files are not read yet. Raises :class:`BadExport`.
    """
    folder, export_id = _folder_of(place)
    summary = _manifest(folder, f"{export_id}/{SUMMARY}")
    try:
        if summary["outputFormat"] != FORMAT:
            raise BadExport(f"the export: must have the format {FORMAT}; got {summary['outputFormat']!r}")
        files_key = str(summary["manifestFilesS3Key"])
        root = files_key.rpartition("/")[0].rpartition("/")[0]
        lines = _checked(folder, _below(root, files_key)).splitlines()
        files = tuple(_data_file(root, orjson.loads(line)) for line in lines if line.strip())
        since, until = _times(summary)
        table = str(summary["tableArn"]).rpartition("/")[2]
        return Export(table, str(summary["tableId"]), since, until, int(summary["itemCount"]), folder, files)
    except (KeyError, TypeError, ValueError) as error:
        raise BadExport(f"the manifests of {place}: must be those of an export of DynamoDB: {error!r}") from error


def _folder_of(place: str) -> tuple[_ExportFolder, str]:
    """Return the folder ``AWSDynamoDB``, and the id of the export in it."""
    if place.startswith("s3://"):
        parts = urlsplit(place)
        prefix, _, export_id = parts.path.strip("/").rpartition("/")
        return _ExportFolder(EndpointBuckets(None), parts.netloc, f"{prefix}/" if prefix else ""), export_id
    folder = Path(place).absolute()
    if not folder.is_dir():
        raise BadExport(f"the export: must be a folder with {SUMMARY}, or s3://BUCKET/PREFIX; got {place!r}")
    return _ExportFolder(FolderBuckets(folder.parent.parent), folder.parent.name, ""), folder.name


def _manifest(folder: _ExportFolder, path: str) -> Mapping[str, Any]:
    try:
        found = orjson.loads(_checked(folder, path))
    except orjson.JSONDecodeError as error:
        raise BadExport(f"{path}: must be JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadExport(f"{path}: must be a JSON object")
    return found


def _checked(folder: _ExportFolder, path: str) -> bytes:
    """Return the content of a manifest. Raise :class:`BadExport` unless its checksum file agrees."""
    content = folder.bytes_of(path)
    for number, ending in enumerate(_CHECKSUMS, start=1):
        try:
            expected = folder.bytes_of(path.removesuffix(".json") + ending).decode().strip()
            break
        except BadExport:
            if number == len(_CHECKSUMS):
                raise
    if _base64(hashlib.md5(content, usedforsecurity=False).digest()) != expected:
        raise BadExport(f"{path}: must have the checksum {expected}; it is damaged")
    return content


def _data_file(root: str, entry: Mapping[str, Any]) -> _DataFile:
    return _DataFile(_below(root, str(entry["dataFileS3Key"])), str(entry["md5Checksum"]), int(entry["itemCount"]))


def _below(root: str, key: str) -> str:
    """Return the path of an object relative to the folder ``AWSDynamoDB``, which may be a copy at another place."""
    if not key.startswith(f"{root}/"):
        raise BadExport(f"the manifests: must name files below {root}; got {key!r}")
    return key.removeprefix(f"{root}/")


def _times(summary: Mapping[str, Any]) -> tuple[float | None, float]:
    if "exportFromTime" in summary:
        since, until = from_iso_ms(summary["exportFromTime"]), from_iso_ms(summary["exportToTime"])
        if not since < until:
            raise BadExport(f"the export: must end after it begins; got {iso_ms(since)} to {iso_ms(until)}")
        return since, until
    return None, from_iso_ms(summary["exportTime"])


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()
