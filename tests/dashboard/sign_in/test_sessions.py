"""Sessions end when they should, and a forged or replayed cookie is no session."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bursar.dashboard.sign_in.accounts import Account
from bursar.dashboard.sign_in.sessions import SESSION_IDLE_S, SESSION_S_MAX, SESSIONS_MAX, PersonSessions
from bursar.dashboard.state_file import StateFile
from tests.support.dashboard.office import OnePerson
from tests.support.payments.stage import Wall

ADA = Account("ada", frozenset({"viewer"}), "hash one")


FORGERIES: list[Callable[[str], str]] = [
    lambda text: f"{text[:-2]}{'A' if text[-2] != 'A' else 'B'}{text[-1]}",
    lambda text: f"x{text}",
    lambda text: text.partition(".")[0],
    lambda text: "",
    lambda text: "x" * 10_000,
]


class Kept:
    """Sessions of one person, whose account a test may change."""

    def __init__(self, folder: Path) -> None:
        self.wall = Wall()
        self.people = OnePerson(ADA)
        self.state = StateFile(folder / "dashboard.db")
        self.sessions = PersonSessions(self.state, self.people, self.wall)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_a_session_is_found_by_its_cookie_in_another_process_too(kept: Kept) -> None:
    session, cookie = kept.sessions.begin(ADA, "127.0.0.1")
    found = PersonSessions(kept.state, kept.people, kept.wall).of(cookie)
    assert found is not None
    assert (found.account, found.token) == (ADA, session.token)


@pytest.mark.parametrize("change", FORGERIES)
def test_a_forged_cookie_is_no_session(kept: Kept, change: Callable[[str], str]) -> None:
    _, cookie = kept.sessions.begin(ADA, "127.0.0.1")
    assert kept.sessions.of(change(cookie)) is None


def test_the_file_holds_no_token(kept: Kept) -> None:
    session, _ = kept.sessions.begin(ADA, "127.0.0.1")
    with kept.state.writing() as connection:
        rows = [tuple(row) for row in connection.execute("SELECT * FROM sessions")]
    assert session.token not in str(rows)


def test_a_cookie_that_is_replayed_after_the_sign_out_is_no_session(kept: Kept) -> None:
    session, cookie = kept.sessions.begin(ADA, "127.0.0.1")
    kept.sessions.end(session)
    assert kept.sessions.of(cookie) is None


def test_an_idle_session_ends_and_a_used_one_does_not(kept: Kept) -> None:
    _, idle = kept.sessions.begin(ADA, "127.0.0.1")
    _, used = kept.sessions.begin(ADA, "127.0.0.1")
    kept.wall.pass_s(SESSION_IDLE_S - 60)
    assert kept.sessions.of(used) is not None
    kept.wall.pass_s(61)
    assert kept.sessions.of(idle) is None
    assert kept.sessions.of(used) is not None


def test_every_session_ends_after_its_longest_time(kept: Kept) -> None:
    _, cookie = kept.sessions.begin(ADA, "127.0.0.1")
    for _ in range(int(SESSION_S_MAX // 1000)):
        kept.wall.pass_s(1000)
        assert kept.sessions.of(cookie) is not None
    kept.wall.pass_s(1000)
    assert kept.sessions.of(cookie) is None


def test_signing_out_everywhere_ends_every_session_of_the_account(kept: Kept) -> None:
    cookies = [kept.sessions.begin(ADA, "127.0.0.1")[1] for _ in range(3)]
    assert kept.sessions.end_all("ada") == 3
    assert [kept.sessions.of(cookie) for cookie in cookies] == [None] * 3


def test_a_new_password_ends_the_sessions_and_a_new_role_holds_at_once(kept: Kept) -> None:
    _, cookie = kept.sessions.begin(ADA, "127.0.0.1")
    kept.people.account = Account("ada", frozenset({"auditor"}), "hash one")
    found = kept.sessions.of(cookie)
    assert found is not None
    assert found.account.roles == {"auditor"}
    kept.people.account = Account("ada", frozenset({"auditor"}), "hash two")
    assert kept.sessions.of(cookie) is None


def test_an_account_has_a_bounded_number_of_sessions(kept: Kept) -> None:
    cookies = []
    for _ in range(SESSIONS_MAX + 1):
        cookies.append(kept.sessions.begin(ADA, "127.0.0.1")[1])
        kept.wall.pass_s(1)
    assert kept.sessions.of(cookies[0]) is None
    assert kept.sessions.of(cookies[1]) is not None
