"""No property test measures time, and the nightly profile runs more examples of every one."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.hypothesis_profiles import EXAMPLES, NIGHTLY_TIMES, PROFILES, examples

ROOT = Path(__file__).parent.parent
PRINTS_EXAMPLES = """
from hypothesis import settings
from tests.support.hypothesis_profiles import examples, load_profiles

load_profiles()
print(settings().max_examples, examples(30).max_examples)
"""


@pytest.mark.parametrize("profile", [settings.get_profile(name) for name in PROFILES], ids=list(PROFILES))
def test_no_profile_measures_time(profile: settings) -> None:
    assert profile.deadline is None
    assert HealthCheck.too_slow in profile.suppress_health_check


def test_this_run_has_one_of_the_profiles() -> None:
    assert settings().deadline is None
    assert settings().max_examples in [profile["max_examples"] for profile in PROFILES.values()]


def test_a_number_of_examples_keeps_the_rest_of_the_profile() -> None:
    fewer = examples(30, stateful_step_count=5)
    assert (fewer.deadline, fewer.stateful_step_count) == (None, 5)
    assert fewer.max_examples * EXAMPLES == 30 * settings().max_examples


@pytest.mark.parametrize(("name", "times"), [("test", 1), ("nightly", NIGHTLY_TIMES)])
def test_the_environment_names_the_profile(monkeypatch: pytest.MonkeyPatch, name: str, times: int) -> None:
    monkeypatch.setenv("HYPOTHESIS_PROFILE", name)
    ran = subprocess.run([sys.executable, "-c", PRINTS_EXAMPLES], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [str(EXAMPLES * times), str(30 * times)]


def test_no_file_sets_a_deadline_of_its_own() -> None:
    profiles = ROOT / "tests" / "support" / "hypothesis_profiles.py"
    files = sorted(set((ROOT / "tests").rglob("*.py")) - {profiles, Path(__file__)})
    assert [str(path.relative_to(ROOT)) for path in files if "deadline=" in path.read_text(encoding="utf-8")] == []
