"""Save the filter of the transactions page by name, share it with a role, and remove it."""

import asyncio
from urllib.parse import parse_qsl, urlencode

from starlette.responses import Response

from bursar.dashboard.queries.filters import read_filter
from bursar.dashboard.saved_views import NAME_CHARS_MAX, TooManyViews
from bursar.dashboard.sign_in.roles import ROLES, role_named
from bursar.dashboard.visit import PageError, Visit, whole_number
from bursar.portal.contract.periods import court_day


async def save_view(visit: Visit) -> Response:
    """Save the filter of the form. Parameters that are not part of a filter are dropped."""
    name, role = visit.field("name"), visit.field("role")
    if not 1 <= len(name) <= NAME_CHARS_MAX or role not in ("", *ROLES):
        raise PageError(400, "errors.bad_view", limit=NAME_CHARS_MAX)
    found, _ = read_filter(parse_qsl(visit.field("query")), court_day(visit.parts.clock()))
    query = urlencode(found.query())
    shared = role_named(role) if role else None
    try:
        await asyncio.to_thread(visit.site.saved_views.save, visit.account, name, query, shared)
    except TooManyViews:
        raise PageError(409, "errors.too_many_views") from None
    await visit.log("changed", "saved view", change="save", name=name, role=role)
    return visit.redirect(visit.path("transactions", found.query()))


async def remove_view(visit: Visit) -> Response:
    """Remove a view of the person."""
    number = whole_number(visit.request.path_params["view"])
    if number is None or not await asyncio.to_thread(visit.site.saved_views.remove, visit.account, number):
        raise PageError(404, "errors.not_found")
    await visit.log("changed", "saved view", change="remove", number=number)
    return visit.redirect(visit.path("transactions"))
