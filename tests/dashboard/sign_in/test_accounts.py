"""The accounts' file: who may sign in, and what a broken file does."""

import stat
from pathlib import Path

import pytest

from bursar.dashboard.sign_in.accounts import (
    Account,
    AccountsError,
    AccountsFile,
    check_account,
    is_password,
    with_password,
)
from bursar.private_files import TooOpen

PASSWORD = "correct horse battery"


def test_accounts_are_kept_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    account = Account("ada", frozenset({"finance", "approver"}), clients=frozenset({"dawson"}))
    AccountsFile(path).save(with_password(account, PASSWORD))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PASSWORD not in path.read_text()
    found = AccountsFile(path).named("ada")
    assert found is not None
    assert (found.roles, found.clients, found.fees) == (account.roles, account.clients, None)
    assert is_password(found, PASSWORD)
    assert not is_password(found, PASSWORD + "x")


def test_an_unknown_account_has_no_password() -> None:
    assert not is_password(None, PASSWORD)
    assert not is_password(Account("ada", frozenset({"viewer"})), "")


def test_a_change_of_the_file_is_noticed_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    used = AccountsFile(path)
    assert used.all() == []
    other = AccountsFile(path)
    other.save(Account("ada", frozenset({"viewer"}), "x"))
    assert [each.name for each in used.all()] == ["ada"]
    path.write_text("{")
    assert [each.name for each in used.all()] == ["ada"]
    path.write_text('{"accounts": {}}')
    assert used.all() == []


def test_an_account_is_removed(tmp_path: Path) -> None:
    accounts = AccountsFile(tmp_path / "accounts.json")
    accounts.save(Account("ada", frozenset({"viewer"}), "x"))
    accounts.remove("ada")
    assert accounts.all() == []
    with pytest.raises(AccountsError, match=r"^account: must exist; got 'ada'$"):
        accounts.remove("ada")


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    path.write_text('{"accounts": {}}')
    path.chmod(0o644)
    with pytest.raises(TooOpen):
        AccountsFile(path)


WITHOUT_FORM = ["[]", '{"accounts": {"ada": {}}}', '{"accounts": {"ada": {"password": "", "roles": ["king"]}}}']


@pytest.mark.parametrize("content", WITHOUT_FORM)
def test_a_file_without_the_form_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "accounts.json"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(AccountsError, match="must be a file of accounts"):
        AccountsFile(path)


@pytest.mark.parametrize("name", ["", "Ada", "../x", "a b", "a" * 65])
def test_a_name_has_its_form(name: str) -> None:
    with pytest.raises(AccountsError, match=r"^name: must be"):
        check_account(Account(name, frozenset({"viewer"})))


def test_a_short_password_is_refused() -> None:
    with pytest.raises(AccountsError, match="password: must have 12 to 256 characters; got 5"):
        with_password(Account("ada", frozenset({"viewer"})), "short")


def test_a_limited_account_sees_its_clients_and_fees() -> None:
    account = Account("ada", frozenset({"viewer"}), clients=frozenset({"dawson"}), fees=frozenset({"COPY_FEE"}))
    assert account.is_limited
    assert account.may_see("dawson", "COPY_FEE")
    assert not account.may_see("exams", "COPY_FEE")
    assert not account.may_see("dawson", "PETITION_FILING_FEE")
