"""S3, Glue and Secrets Manager by moto's server, and the calls that it received."""

import re
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from werkzeug.serving import make_server

BUCKET: Final = "lake"
ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "y",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_OBJECT_ACTIONS: Final = {
    "GET": "s3:GetObject",
    "HEAD": "s3:GetObject",
    "PUT": "s3:PutObject",
    "POST": "s3:PutObject",
    "DELETE": "s3:DeleteObject",
}


class MotoAws:
    """A server of one bucket, Glue and Secrets Manager. ``actions`` counts the calls so far by their IAM action."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._recorded, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.actions: Counter[str] = Counter()

    def _recorded(self, environ: dict[str, Any], start_response: Any) -> Any:
        action = _action(environ)
        if action is not None:
            self.actions[action] += 1
        return self._app(environ, start_response)

    @contextmanager
    def running(self) -> Iterator["MotoAws"]:
        """Serve for the length of a ``with``, with an empty bucket and the empty database of a lake."""
        import boto3

        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")).close()
            keys: Any = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": "us-east-1"}
            boto3.client("s3", endpoint_url=self.url, **keys).create_bucket(Bucket=BUCKET)
            boto3.client("glue", endpoint_url=self.url, **keys).create_database(DatabaseInput={"Name": "bursar"})
            self.actions.clear()
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def lake_url(self, name: str) -> str:
        """Return the URL of a lake in the bucket whose catalog is Glue."""
        options = f"glue.endpoint={self.url}&glue.region=us-east-1&s3.endpoint={self.url}&s3.region=us-east-1"
        return f"s3://{BUCKET}/{name}?catalog=glue&{options}"


def _action(environ: dict[str, Any]) -> str | None:
    """Return the IAM action of a call. Source: Service Authorization Reference of S3 and Glue."""
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target.startswith("AWSGlue."):
        return f"glue:{target.partition('.')[2]}"
    if target:
        return None
    if re.fullmatch(f"/{BUCKET}/?", environ["PATH_INFO"]):
        if environ["REQUEST_METHOD"] == "POST" and "delete" in environ["QUERY_STRING"]:
            return "s3:DeleteObject"
        return "s3:ListBucket"
    return _OBJECT_ACTIONS[environ["REQUEST_METHOD"]]
