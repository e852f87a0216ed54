"""Every URL of the dashboard refuses every role that the route table does not name; a new route cannot be forgotten."""

import pytest

from bursar.dashboard.route_table import ROUTES
from bursar.dashboard.sign_in.roles import ROLES
from bursar.dashboard.site import PREFIX, PageRoute
from tests.support.dashboard.office import Office, Visitor
from tests.support.dashboard.receiver import FakeReceiver

FIELDS = {
    "client": "dawson",
    "reference": "0b5c6f6e-0000-4000-8000-000000000001",
    "attempt": "a",
    "number": "1",
    "name": "sla",
    "form": "csv",
    "view": "1",
    "query": "1",
    "run": "20261122T193000-00000000",
}
GUARDED = [
    pytest.param(route, id=route.name) for route in ROUTES if route.roles is not None and set(ROLES) - route.roles
]
WITHOUT_SIGN_IN = [pytest.param(route, id=route.name) for route in ROUTES if route.roles is not None]


def target(route: PageRoute) -> str:
    return PREFIX + route.path.format_map(FIELDS)


async def send(visitor: Visitor, route: PageRoute) -> int:
    if route.method == "GET":
        return (await visitor.get(target(route))).status
    await visitor.get(f"{PREFIX}/sign-in")
    return (await visitor.post(target(route))).status


def test_there_are_routes_that_refuse_roles() -> None:
    assert len(GUARDED) > 3
    assert {route.path for route in ROUTES if route.roles is None} == {
        "/sign-in",
        "/sign-in/provider",
        "/sign-in/callback",
        "/sign-in/back-channel-logout",
        "/preferences",
    }


def test_one_route_alone_needs_neither_a_session_nor_a_form() -> None:
    assert [route.name for route in ROUTES if route.is_back_channel] == ["back_channel_logout"]


@pytest.mark.parametrize("route", GUARDED)
async def test_every_wrong_role_is_refused(office: Office, route: PageRoute) -> None:
    webhooks = await office.webhooks(FakeReceiver())
    wrong = [role for role in ROLES if role not in (route.roles or ())]
    for role in wrong:
        visitor = office.visitor(role, portal=office.portal(), sandbox=office.sandbox(), webhooks=webhooks)
        assert await send(visitor, route) == 403, role
    assert [entry.name for entry in office.visitor_log("refused")] == wrong


@pytest.mark.parametrize("route", WITHOUT_SIGN_IN)
async def test_without_a_session_there_is_only_the_sign_in(office: Office, route: PageRoute) -> None:
    webhooks = await office.webhooks(FakeReceiver())
    visitor = office.visitor("viewer", portal=office.portal(), sandbox=office.sandbox(), webhooks=webhooks)
    visitor.cookies.clear()
    if route.method == "GET":
        page = await visitor.get(target(route))
        assert page.status == 303
        assert page.header("location").startswith(f"{PREFIX}/sign-in?next=")
    else:
        await visitor.get(f"{PREFIX}/sign-in")
        assert (await visitor.post(target(route))).status == 401
