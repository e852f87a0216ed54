"""Actions on webhooks for operators: send a dead letter again, send a test, and replay the events of some days.

Each has a page that states the consequence and confirms it, and an entry in the access log.
"""

from datetime import date
from typing import TYPE_CHECKING, Final, Literal

from starlette.responses import Response

from bursar.dashboard.pages.reports.reports import require_no_limits
from bursar.dashboard.site import PageHandler
from bursar.dashboard.visit import PageError, Visit
from bursar.portal.contract.periods import day_of

if TYPE_CHECKING:
    from bursar.portal.webhooks.dispatcher import Dispatcher, WebhookStatus

WebhookAction = Literal["retry", "test", "replay"]
REPLY_SHOWN_BYTES_MAX: Final = 2_000
REPLAY_DAYS_MAX: Final = 31


async def webhook_status(visit: Visit) -> "WebhookStatus | None":
    """Return the deliveries that have not succeeded; None without webhooks, and for a person who may not see them."""
    if visit.parts.webhooks is None or visit.account.is_limited or not visit.may("operations"):
        return None
    return await visit.parts.webhooks.status()


def confirm(action: WebhookAction) -> PageHandler:
    """Return the page that states what ``action`` does."""

    async def show(visit: Visit) -> Response:
        require_no_limits(visit)
        return _page(visit, action, dict(visit.query))

    return show


def send(action: WebhookAction) -> PageHandler:
    """Return the handler that does ``action`` and shows its result."""
    act = {"retry": _retry, "test": _test, "replay": _replay}[action]

    async def run(visit: Visit) -> Response:
        require_no_limits(visit)
        dispatcher = visit.parts.webhook_actions
        assert dispatcher is not None, "the route is served with webhooks alone"
        done, key, facts = await act(visit, dispatcher)
        logged = {name: value for name, value in facts.items() if name != "body"}
        await visit.log("changed", _target(visit, action), change=f"webhook_{action}", done=done, **logged)
        result = visit.text(f"webhooks.{action}.{key}", **facts)
        return _page(visit, action, visit.form, result=result, done=done)

    return run


ActionResult = tuple[bool, str, dict[str, str]]
"""Whether the action was done; the key of the result's text, and the text's fields."""


async def _retry(visit: Visit, dispatcher: "Dispatcher") -> ActionResult:
    letter = visit.field("letter")
    return (True, "done", {}) if await dispatcher.retry(letter) else (False, "failed", {})


async def _test(visit: Visit, dispatcher: "Dispatcher") -> ActionResult:
    from bursar.portal.webhooks.sender import NotDelivered

    try:
        reply = await dispatcher.send_test(visit.field("name"))
    except LookupError:
        raise PageError(404, "errors.not_found") from None
    except NotDelivered as failed:
        body = failed.reply.body if failed.reply is not None else b""
        return False, "failed", {"problem": str(failed), "body": _shown(body)}
    return True, "done", {"status": str(reply.status), "body": _shown(reply.body)}


async def _replay(visit: Visit, dispatcher: "Dispatcher") -> ActionResult:
    first, last, client = _day(visit, "from"), _day(visit, "to"), visit.field("client")
    if first is None or last is None or not 0 <= (last - first).days < REPLAY_DAYS_MAX:
        return False, "failed", {"days": str(REPLAY_DAYS_MAX)}
    if client and client not in visit.parts.clients.names:
        raise PageError(404, "errors.not_found")
    report = await dispatcher.replay(day_of(first).begin, day_of(last).end, client or None)
    return True, "done", {"events": f"{report.events:,}", "items": f"{report.items:,}"}


def _day(visit: Visit, name: str) -> date | None:
    try:
        return date.fromisoformat(visit.field(name))
    except ValueError:
        return None


def _target(visit: Visit, action: WebhookAction) -> str:
    fields = {"retry": ("letter",), "test": ("name",), "replay": ("from", "to", "client")}[action]
    return " ".join(("webhooks", action, *(visit.field(name) for name in fields)))


def _shown(body: bytes) -> str:
    return body[:REPLY_SHOWN_BYTES_MAX].decode("utf-8", "replace")


def _page(
    visit: Visit, action: WebhookAction, given: dict[str, str], *, result: str = "", done: bool = True
) -> Response:
    return visit.page(
        "webhook_action.html",
        http_status=200 if done else 400,
        action=action,
        given={name: given.get(name, "") for name in ("letter", "name", "from", "to", "client")},
        result=result,
        done=done,
        clients=visit.parts.clients.names,
        section="operations",
    )
