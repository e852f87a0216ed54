"""A plain reader of Amazon's exports, written from the Developer Guide alone: it shares no code with the writer."""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Read = Callable[[str], bytes]
"""From an object's key to its content."""


def folder_reader(bucket: Path) -> Read:
    """Return a reader of the objects in a folder that represents a bucket."""
    return lambda key: (bucket / key).read_bytes()


def export_lines(read: Read, manifest: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return (summary manifest, documents) of an export; check every checksum and count on the way."""
    summary = json.loads(_checked(read, manifest))
    documents: list[dict[str, Any]] = []
    for line in _checked(read, summary["manifestFilesS3Key"]).splitlines():
        entry = json.loads(line)
        content = read(entry["dataFileS3Key"])
        assert _md5(content) == entry["md5Checksum"]
        assert entry["etag"]
        lines = gzip.decompress(content).decode().splitlines()
        assert len(lines) == entry["itemCount"]
        documents += map(json.loads, lines)
    assert summary["itemCount"] == len(documents)
    return summary, documents


def _checked(read: Read, key: str) -> bytes:
    content = read(key)
    assert _md5(content) == read(key.removesuffix(".json") + ".md5").decode()
    return content


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
