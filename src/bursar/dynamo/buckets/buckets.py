"""Buckets of S3, for exports and imports: folders on this machine, or an S3 endpoint.

    --s3-folder DIR      the bucket `b` is the folder DIR/b, and the object `p/q.json` the file DIR/b/p/q.json
    --s3-endpoint URL    any server of S3's API, through boto3

A folder for a bucket must exist, as a bucket must.
"""

import hashlib
import shutil
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

from bursar.dynamo.buckets.port import BucketDenied, Buckets, NoSuchBucket, StoredObject


def put_bytes(buckets: Buckets, bucket: str, key: str, content: bytes) -> StoredObject:
    """Store bytes as an object."""
    with NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return buckets.put(bucket, key, Path(file.name))


class FolderBuckets:
    """Buckets that are the folders in one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def check(self, bucket: str) -> None:
        """See :class:`Buckets`."""
        if not self._path(bucket, "").is_dir():
            raise NoSuchBucket(bucket)

    def put(self, bucket: str, key: str, content: Path) -> StoredObject:
        """See :class:`Buckets`. The file appears only when it is complete."""
        path = self._path(bucket, key)
        with _denied():
            path.parent.mkdir(parents=True, exist_ok=True)
            with content.open("rb") as source, NamedTemporaryFile(dir=path.parent, delete=False) as target:
                try:
                    digest = _md5(source)
                    shutil.copyfileobj(source, target)
                    target.close()
                    Path(target.name).rename(path)
                except BaseException:
                    Path(target.name).unlink(missing_ok=True)
                    raise
        # The ETag of an upload in one part.
        etag = hashlib.md5(digest, usedforsecurity=False).hexdigest() + "-1"
        return StoredObject(b64encode(digest).decode(), etag)

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """See :class:`Buckets`."""
        root = self._path(bucket, "")
        with _denied():
            files = (path for path in root.rglob("*") if path.is_file())
            return sorted(key for path in files if (key := path.relative_to(root).as_posix()).startswith(prefix))

    def read(self, bucket: str, key: str) -> IO[bytes]:
        """See :class:`Buckets`."""
        with _denied():
            return self._path(bucket, key).open("rb")

    def _path(self, bucket: str, key: str) -> Path:
        """Return the path of an object. Raise :class:`BucketDenied` for a key that no file in the bucket can have."""
        if "\0" in key:
            raise BucketDenied("Access Denied: the key has a null character")
        folder = self._root / bucket
        path = folder / key.lstrip("/")
        if not path.resolve().is_relative_to(folder.resolve()) or not folder.resolve().is_relative_to(self._root):
            raise BucketDenied(f"Access Denied: the key {key} leads out of the bucket")
        return path


class EndpointBuckets:
    """The buckets of a server of S3's API, with the credentials that boto3 finds. ``url`` is None for Amazon's."""

    def __init__(self, url: str | None) -> None:
        import boto3

        self._client: Any = boto3.client("s3", endpoint_url=url)

    def check(self, bucket: str) -> None:
        """See :class:`Buckets`."""
        from botocore.exceptions import ClientError

        with _denied():
            try:
                self._client.head_bucket(Bucket=bucket)
            except ClientError as error:
                if error.response["Error"]["Code"] in ("404", "NoSuchBucket"):
                    raise NoSuchBucket(bucket) from None
                raise

    def put(self, bucket: str, key: str, content: Path) -> StoredObject:
        """See :class:`Buckets`."""
        with _denied(), content.open("rb") as source:
            digest = _md5(source)
            answer = self._client.put_object(Bucket=bucket, Key=key, Body=source)
        return StoredObject(b64encode(digest).decode(), answer["ETag"].strip('"'))

    def keys(self, bucket: str, prefix: str) -> list[str]:
        """See :class:`Buckets`."""
        with _denied():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            return sorted(one["Key"] for page in pages for one in page.get("Contents", ()))

    def read(self, bucket: str, key: str) -> IO[bytes]:
        """See :class:`Buckets`."""
        with _denied():
            body: IO[bytes] = self._client.get_object(Bucket=bucket, Key=key)["Body"]
            return body


def _md5(file: BufferedReader) -> bytes:
    """Return the MD5 of a file that is open at its start, where it is left."""
    digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()
    file.seek(0)
    return digest


@contextmanager
def _denied() -> Iterator[None]:
    """Turn errors of the file system and of boto3 into :class:`BucketDenied`."""
    try:
        yield
    except OSError as error:
        raise BucketDenied(f"Access Denied: {error.strerror or error}") from error
    except Exception as error:
        if type(error).__module__.startswith("botocore"):
            raise BucketDenied(str(error)) from error
        raise
