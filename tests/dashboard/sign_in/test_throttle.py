"""Failed sign-ins slow down the next try: for the name, and for the address that they came from."""

from pathlib import Path

import pytest

from bursar.dashboard.sign_in.throttle import (
    FAILURES_PER_ADDRESS_MAX,
    FAILURES_PER_NAME_MAX,
    WINDOW_S,
    SignInThrottle,
)
from bursar.dashboard.state_file import StateFile
from tests.support.payments.stage import Wall


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def throttle(tmp_path: Path, wall: Wall) -> SignInThrottle:
    return SignInThrottle(StateFile(tmp_path / "dashboard.db"), wall)


def test_many_failures_of_one_name_slow_it_down_from_every_address(throttle: SignInThrottle, wall: Wall) -> None:
    for number in range(FAILURES_PER_NAME_MAX):
        assert throttle.wait_s("ada", "192.0.2.1") == 0
        throttle.count_failure("ada", f"192.0.2.{number}")
    assert throttle.wait_s("ada", "198.51.100.1") == WINDOW_S
    assert throttle.wait_s("grace", "192.0.2.1") == 0
    wall.pass_s(WINDOW_S)
    assert throttle.wait_s("ada", "198.51.100.1") == 0


def test_many_failures_from_one_address_slow_it_down_for_every_name(throttle: SignInThrottle) -> None:
    for number in range(FAILURES_PER_ADDRESS_MAX):
        assert throttle.wait_s("ada", "192.0.2.1") == 0
        throttle.count_failure(f"name {number}", "192.0.2.1")
    assert throttle.wait_s("ada", "192.0.2.1") == WINDOW_S
    assert throttle.wait_s("ada", "192.0.2.2") == 0
