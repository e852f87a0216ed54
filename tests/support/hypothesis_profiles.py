"""Hypothesis's profiles: what every property test has in common, and how many examples it runs.

``load_profiles`` loads ``test``, which `make test` and CI use. ``HYPOTHESIS_PROFILE=nightly`` or
``--hypothesis-profile=nightly`` runs NIGHTLY_TIMES as many examples.
"""

import os
from typing import Any, Final

from hypothesis import HealthCheck, settings

EXAMPLES: Final = 100
"""Examples of a test that asks for no other number."""
NIGHTLY_TIMES: Final = 20
PROFILES: Final[dict[str, dict[str, Any]]] = {
    "test": {
        "max_examples": EXAMPLES
    },  # In CI, Hypothesis's own profile "ci" is its parent: the same examples each time.
    "nightly": {"max_examples": EXAMPLES * NIGHTLY_TIMES, "derandomize": False},
}


def load_profiles() -> None:
    """Register the profiles, and load the one that HYPOTHESIS_PROFILE names.

    No profile measures time: a loaded machine needs many times as long for an example, which says nothing of the code.
    """
    for name, values in PROFILES.items():
        settings.register_profile(name, deadline=None, suppress_health_check=[HealthCheck.too_slow], **values)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))


def examples(count: int, **others: Any) -> settings:
    """Return settings that run ``count`` examples in a test run, and as many times more as the profile says."""
    return settings(max_examples=count * settings().max_examples // EXAMPLES, **others)
