"""A provider of OpenID Connect for the tests of sign-in and logout."""

import pytest

from tests.support.dashboard.office import Office, Visitor
from tests.support.dashboard.provider import FakeProvider, visitor_of


@pytest.fixture
def fake(office: Office) -> FakeProvider:
    return FakeProvider(office.wall)


@pytest.fixture
def browser(office: Office, fake: FakeProvider) -> Visitor:
    return visitor_of(office, fake)
