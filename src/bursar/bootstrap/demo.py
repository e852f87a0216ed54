"""``bursar demo``: make payments against a running ``bursar up`` over HTTP, as applications and payers do.

application ── init ──► payer ── pays by card, ACH or PayPal, is declined, or walks away ──► application ── process
"""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from bursar.web.http_client import HttpClient
from bursar.web.http_reply import HttpClientError

AT_ONCE: Final = 8
TIMEOUT_S: Final = 60.0

# ((Pay.gov's payment type, its outcome), share of the payers in percent). None: the payer leaves without paying.
PAYERS: Final[tuple[tuple[tuple[str, str] | None, int], ...]] = (
    (("PLASTIC_CARD", "Success"), 60),
    (("ACH", "Success"), 15),
    (("PAYPAL", "Success"), 12),
    (("PLASTIC_CARD", "Failed"), 6),
    (("ACH", "Failed"), 2),
    (None, 5),
)


class DemoFailed(Exception):
    """The portal or the simulator gave an unexpected answer. The text is the URL and the answer."""


@dataclass
class DemoResult:
    """The outcomes: payment status → number of payments, and the number of payers that left without paying."""

    statuses: Counter[str] = field(default_factory=Counter)
    walked_away: int = 0


async def make_payments(
    count: int, portal_url: str, simulator_url: str, randomness: random.Random, on_payment: Callable[[], None]
) -> DemoResult:
    """Make ``count`` payments, :data:`AT_ONCE` at a time, and call ``on_payment`` after each.

    Raises:
        DemoFailed: an answer is not 200, or a server does not answer.
    """
    result = DemoResult()
    orders = iter(range(count))
    client = HttpClient()

    async def application() -> None:
        for _ in orders:  # a shared iterator: each application takes the next payment
            await _one_payment(client, portal_url, simulator_url, randomness, result)
            on_payment()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, count)):
                group.create_task(application())
    except* HttpClientError as errors:
        raise DemoFailed(f"no answer: {errors.exceptions[0]}") from None
    except* DemoFailed as errors:
        raise errors.exceptions[0] from None
    finally:
        await client.close()
    return result


async def _one_payment(
    client: HttpClient, portal_url: str, simulator_url: str, randomness: random.Random, result: DemoResult
) -> None:
    started = await _post(client, f"{portal_url}/init", _order(randomness, portal_url))
    (payer,) = randomness.choices([who for who, _ in PAYERS], [share for _, share in PAYERS])
    if payer is None:
        result.walked_away += 1
        return
    method, outcome = payer
    await _post(client, f"{simulator_url}/pay/{method}/{outcome}?token={started['token']}", None)
    done = await _post(client, f"{portal_url}/process", {"token": started["token"]})
    result.statuses[done["paymentStatus"]] += 1


async def _post(client: HttpClient, url: str, body: dict[str, Any] | None) -> dict[str, Any]:
    sent = b"" if body is None else orjson.dumps(body)
    reply = await client.post(url, sent, {"Content-Type": "application/json"}, TIMEOUT_S)
    if reply.status != 200:
        text = reply.body[:300].decode(errors="replace")
        raise DemoFailed(f"{url.split('?', 1)[0]} answered {reply.status}: {text}")
    answer: dict[str, Any] = orjson.loads(reply.body)
    return answer


def _order(randomness: random.Random, portal_url: str) -> dict[str, Any]:
    number, pages = randomness.randrange(1, 30_000), randomness.randint(1, 80)
    fee, metadata = randomness.choices(
        (
            ("PETITION_FILING_FEE", {"docketNumber": f"{number}-26"}),
            (
                "NONATTORNEY_EXAM_REGISTRATION_FEE",
                {"email": f"applicant{number}@example.com", "fullName": f"Applicant {number}", "accessCode": "DEMO"},
            ),
            ("COPY_FEE", {"copyRequestId": f"CR-{number}", "numberOfPages": pages}),
        ),
        (70, 5, 25),
    )[0]
    order: dict[str, Any] = {
        "transactionReferenceId": str(uuid.UUID(int=randomness.getrandbits(128), version=4)),
        "fee": fee,
        "urlSuccess": f"{portal_url}/",
        "urlCancel": f"{portal_url}/",
        "metadata": metadata,
    }
    if fee == "COPY_FEE":
        order["amount"] = pages / 2  # fifty cents a page; a float holds halves exactly
    return order
