"""The production transport: the HTTP client of the house, whose errors become errors of Pay.gov calls.

    RequestNotSent → NotSent     ReplyTimedOut → TimedOut     ReplyLost → Lost     ReplyUnreadable → Nonsense

``bursar/web/http_client.py`` describes which step of a request raises which error.
"""

from collections.abc import Mapping

from bursar.paygov.errors import Lost, Nonsense, NotSent, TimedOut
from bursar.paygov.safe_xml import DOCUMENT_BYTES_MAX
from bursar.web.http_client import CONNECTIONS_MAX, HttpClient
from bursar.web.http_reply import HttpReply, ReplyLost, ReplyTimedOut, ReplyUnreadable, RequestNotSent


class HttpTransport:
    """Posts over HTTP or HTTPS, in one event loop. See :class:`~bursar.paygov.transport.Transport`.

    client_cert, client_key: PEM files for mutual TLS. A wrong path fails here (OSError, ssl.SSLError).
    connections_max: connections that are open at once. Further callers wait for one.
    """

    def __init__(
        self,
        *,
        client_cert: str | None = None,
        client_key: str | None = None,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        self._client = HttpClient(
            client_cert=client_cert,
            client_key=client_key,
            connections_max=connections_max,
            reply_bytes_max=DOCUMENT_BYTES_MAX,
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> HttpReply:
        """Post once. See :meth:`Transport.post <bursar.paygov.transport.Transport.post>`."""
        try:
            return await self._client.post(url, body, headers, timeout_s)
        except RequestNotSent as error:
            raise NotSent(str(error)) from error
        except ReplyTimedOut as error:
            raise TimedOut(str(error)) from error
        except ReplyLost as error:
            raise Lost(str(error)) from error
        except ReplyUnreadable as error:
            raise Nonsense(error.reason, status=error.status) from error

    async def close(self) -> None:
        """Close every connection. A request in progress raises Lost."""
        await self._client.close()
