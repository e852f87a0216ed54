"""Fixtures for every folder of tests: the Hypothesis profile, and the write path that a test runs on."""

import pytest

from tests.support.hypothesis_profiles import load_profiles
from tests.support.storms import NEEDS_CALM, STORM_SEED
from tests.support.write_paths import MARKER, WritePath, paths_of

load_profiles()


@pytest.fixture
def write_path(request: pytest.FixtureRequest) -> WritePath:
    """Return the way in which the test's ledgers write.

    A test that needs it, directly or through a fixture, runs on both.
    """
    path: WritePath = request.param
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need calm, each with its reason, in a storm (tests/support/storms.py)."""
    if STORM_SEED is None:
        return
    for item in items:
        reason = NEEDS_CALM.get(getattr(item, "originalname", item.name))
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that needs a write path on both, or on the one that its marker names with a reason."""
    marker = metafunc.definition.get_closest_marker(MARKER)
    if "write_path" in metafunc.fixturenames:
        paths = paths_of(marker)
        metafunc.parametrize("write_path", paths, indirect=True, ids=[path.name for path in paths])
    elif marker is not None:
        raise ValueError(f"{MARKER}: must be on a test that needs a write path; got {metafunc.definition.nodeid}")
