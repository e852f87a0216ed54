"""`bursar user`: people are added, listed, changed and removed in one private file."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bursar.bootstrap.parts.dashboard import STATE_FILE
from bursar.bootstrap.user_commands import user
from bursar.dashboard.sign_in.accounts import AccountsFile, is_password
from bursar.dashboard.sign_in.provider.people import ProviderPeople
from bursar.dashboard.state_file import StateFile

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()


def run(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(user, arguments, input=given)


def test_a_person_is_added_with_a_password_that_is_asked_for_twice() -> None:
    done = run("add", "ada", "--role", "finance", "--client", "dawson", given=f"{PASSWORD}\n{PASSWORD}\n")
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "ada may sign in as finance.")
    path = Path("data/accounts.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = AccountsFile(path).named("ada")
    assert found is not None
    assert is_password(found, PASSWORD)
    assert found.clients == frozenset({"dawson"})


def test_people_are_listed_changed_and_removed() -> None:
    assert run("list").output == "There is no account.\n"
    assert run("add", "ada", "--role", "viewer", "--password-stdin", given=f"{PASSWORD}\n").exit_code == 0
    assert run("role", "ada", "--role", "auditor", "--role", "finance").exit_code == 0
    assert "ada" in run("list").output
    assert "auditor, finance" in run("list").output
    found = AccountsFile(Path("data/accounts.json")).named("ada")
    assert found is not None
    assert is_password(found, PASSWORD)
    assert run("remove", "ada").exit_code == 0
    assert run("list").output == "There is no account.\n"


@pytest.mark.parametrize(
    ("arguments", "given", "problem"),
    [
        (("add", "Ada", "--role", "viewer"), "", "name: must be 1 to 64 of a-z"),
        (("add", "ada", "--role", "viewer", "--password-stdin"), "short\n", "password: must have 12 to 256 characters"),
        (("role", "bob", "--role", "viewer"), "", "account: must exist; got 'bob'"),
        (("remove", "bob"), "", "account: must exist; got 'bob'"),
    ],
)
def test_a_bad_request_is_one_line_and_exit_code_2(arguments: tuple[str, ...], given: str, problem: str) -> None:
    done = run(*arguments, given=given)
    assert done.exit_code == 2
    assert problem in done.output


def test_the_name_of_a_person_of_the_provider_is_freed() -> None:
    people = ProviderPeople(StateFile(Path("data") / STATE_FILE))
    assert people.name_of("https://login.example.gov", "1", "ada@example.gov") == "ada@example.gov"
    assert people.name_of("https://login.example.gov", "2", "ada@example.gov") is None
    assert run("forget", "ada@example.gov").output == "ada@example.gov is forgotten.\n"
    assert people.name_of("https://login.example.gov", "2", "ada@example.gov") == "ada@example.gov"
    done = run("forget", "bob")
    assert (done.exit_code, "got 'bob'" in done.output) == (2, True)
