"""The examples of a comparison with an oracle: the same in every test run, or ORACLE_EXAMPLES many random ones.

A module gets the fixture by importing it.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

REPEATED = "ORACLE_EXAMPLES" not in os.environ


def oracle_settings(examples: int) -> settings:
    """Return the settings: ``examples`` of them in a test run."""
    return settings(
        max_examples=examples if REPEATED else int(os.environ["ORACLE_EXAMPLES"]),
        derandomize=REPEATED,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(autouse=True, scope="module")
def same_requests_in_each_run() -> Iterator[None]:
    """Keep Hypothesis from drawing other requests when a module changes.

    It mixes in constants of the project's loaded modules, so each edit and each neighbouring test would change the
    requests. ORACLE_EXAMPLES looks for new differences; a test run repeats itself.
    """
    with pytest.MonkeyPatch.context() as patch:
        if REPEATED:
            patch.setattr(providers, "_get_local_constants", Constants)
        yield
