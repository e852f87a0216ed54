"""The port of exports and imports to the buckets of S3."""

from pathlib import Path
from typing import IO, NamedTuple, Protocol


class NoSuchBucket(Exception):
    """The bucket does not exist."""


class BucketDenied(Exception):
    """The bucket cannot be read or written; the text is the reason."""


class StoredObject(NamedTuple):
    """An object that was written: the MD5 of its content in base64, and its ETag."""

    md5: str
    etag: str


class Buckets(Protocol):
    """The place where exports are written and imports are read."""

    def check(self, bucket: str) -> None:
        """Raise :class:`NoSuchBucket` unless the bucket exists. Raises :class:`BucketDenied`."""

    def put(self, bucket: str, key: str, content: Path) -> StoredObject:
        """Store a file as an object. Raises :class:`BucketDenied`."""

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, sorted. Raises :class:`BucketDenied`."""

    def read(self, bucket: str, key: str) -> IO[bytes]:
        """Open an object. Raises :class:`BucketDenied`."""
