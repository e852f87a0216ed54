"""Sign a POST to an AWS service with Signature Version 4. :mod:`bursar.web.sigv4` verifies such signatures.

The body is hashed into the signature, and every header that is given is signed. Source: IAM user guide, "Create a
signed AWS API request".
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from bursar.web.sigv4 import ALGORITHM, TERMINATOR, TIMESTAMP, signing_key


class AwsKeys(NamedTuple):
    """An access key with its secret, and the token of a session if the key is temporary."""

    access_key: str
    secret: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"AwsKeys({self.access_key!r})"


def signed_headers(
    url: str, headers: Mapping[str, str], body: bytes, keys: AwsKeys, *, service: str, region: str, now: float
) -> dict[str, str]:
    """Return ``headers`` with those that sign a POST of ``body`` to ``url`` at ``now`` (epoch seconds).

    ``url`` has no query. The sender adds the Host header of ``url``, which is signed too.
    """
    parts = urlsplit(url)
    timestamp = datetime.fromtimestamp(now, UTC).strftime(TIMESTAMP)
    sent = {**headers, "X-Amz-Date": timestamp}
    if keys.token is not None:
        sent["X-Amz-Security-Token"] = keys.token
    lower = {"host": parts.netloc, **{name.lower(): value.strip() for name, value in sent.items()}}
    names = ";".join(sorted(lower))
    lines = "".join(f"{name}:{lower[name]}\n" for name in sorted(lower))
    request = f"POST\n{parts.path or '/'}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{timestamp[:8]}/{region}/{service}/{TERMINATOR}"
    to_sign = f"{ALGORITHM}\n{timestamp}\n{scope}\n{hashlib.sha256(request.encode('latin-1')).hexdigest()}"
    key = signing_key(keys.secret, timestamp[:8], region, service)
    signature = hmac.digest(key, to_sign.encode("latin-1"), "sha256").hex()
    sent["Authorization"] = (
        f"{ALGORITHM} Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return sent
