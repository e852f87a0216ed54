"""What a comparison with an oracle draws: the same in every test run, or, told ORACLE_EXAMPLES, so many others.

A module has the fixture by importing it.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

REPEATED = "ORACLE_EXAMPLES" not in os.environ


def oracle_settings(examples: int) -> settings:
    """So many examples in a test run."""
    return settings(
        max_examples=examples if REPEATED else int(os.environ["ORACLE_EXAMPLES"]),
        deadline=None,
        derandomize=REPEATED,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(autouse=True, scope="module")
def the_same_requests_whatever_else_is_loaded() -> Iterator[None]:
    """Hypothesis mixes in constants of the project's modules that are loaded, so each edit and each neighbouring test
    would draw other requests. New differences are looked for with ORACLE_EXAMPLES; a test run repeats itself."""
    with pytest.MonkeyPatch.context() as patch:
        if REPEATED:
            patch.setattr(providers, "_get_local_constants", Constants)
        yield
