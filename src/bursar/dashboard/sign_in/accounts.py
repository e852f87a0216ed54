"""The accounts of people, in one JSON file that only its owner may use. ``bursar user`` writes it.

    {"accounts": {"ada": {"password": "$argon2id$…", "roles": ["finance"], "clients": null, "fees": ["COPY_FEE"]}}}

``clients`` and ``fees`` limit what the account sees; null is no limit. The file is read again when it has changed. If
the file cannot be read, the last accounts stay in force, and an error is logged.
"""

import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from bursar.dashboard.sign_in.roles import EVERY_ROLE, ROLES, Role, role_named
from bursar.private_files import create_private, require_private

if TYPE_CHECKING:
    from argon2 import PasswordHasher

PASSWORD_CHARS_MIN: Final = 12
PASSWORD_CHARS_MAX: Final = 256
ACCOUNTS_MAX: Final = 10_000
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
DEVELOPER: Final = "developer"

_log = logging.getLogger(__name__)


class AccountsError(ValueError):
    """The accounts' file or a change of it is not valid. The text is one line."""


@dataclass(frozen=True, slots=True)
class Account:
    """One person. ``clients`` and ``fees``: all that the person may see; None for no limit."""

    name: str
    roles: frozenset[Role]
    password_hash: str = field(default="", repr=False)
    clients: frozenset[str] | None = None
    fees: frozenset[str] | None = None

    @property
    def is_limited(self) -> bool:
        """Whether the account sees only some clients or fees."""
        return self.clients is not None or self.fees is not None

    def may_see(self, client: str, fee: str) -> bool:
        """Return whether the account may see a payment of this client and fee."""
        return (self.clients is None or client in self.clients) and (self.fees is None or fee in self.fees)


class Accounts(Protocol):
    """The people that may sign in."""

    @property
    def needs_password(self) -> bool:
        """Whether a person signs in with a password, instead of choosing a role."""
        ...

    def named(self, name: str) -> Account | None:
        """Return the account of this name."""
        ...

    def all(self) -> list[Account]:
        """Return every account, sorted by name."""
        ...


class DevelopmentAccounts:
    """One account per role and one with all roles, without passwords: for ``bursar up``, on loopback alone."""

    needs_password = False

    def __init__(self) -> None:
        everything = Account(DEVELOPER, EVERY_ROLE)
        self._accounts = {each.name: each for each in (everything, *(Account(r, frozenset({r})) for r in ROLES))}

    def named(self, name: str) -> Account | None:
        """Return the account of this name."""
        return self._accounts.get(name)

    def all(self) -> list[Account]:
        """Return every account; the one with all roles is first."""
        return list(self._accounts.values())


class NoAccounts:
    """No accounts: people sign in only through a provider."""

    needs_password = True

    def named(self, name: str) -> Account | None:
        """Return None."""
        return None

    def all(self) -> list[Account]:
        """Return no account."""
        return []


class AccountsFile:
    """The accounts in one file, which may be missing: then there are none."""

    needs_password = True

    def __init__(self, path: Path) -> None:
        """Read the file. Raises :class:`AccountsError`, ``TooOpen`` and ``OSError``."""
        self.path = path
        self._stamp = self._now()
        self._accounts = self._read()

    def named(self, name: str) -> Account | None:
        """Return the account of this name."""
        self._read_again_if_changed()
        return self._accounts.get(name)

    def all(self) -> list[Account]:
        """Return every account, sorted by name."""
        self._read_again_if_changed()
        return [self._accounts[name] for name in sorted(self._accounts)]

    def save(self, account: Account) -> None:
        """Add the account, or replace the one of its name. Raises :class:`AccountsError` and ``OSError``."""
        check_account(account)
        self._write({**self._read(), account.name: account})

    def remove(self, name: str) -> None:
        """Remove the account. Raises :class:`AccountsError` if there is none, and ``OSError``."""
        accounts = self._read()
        if accounts.pop(name, None) is None:
            raise AccountsError(f"account: must exist; got {name!r}")
        self._write(accounts)

    def _now(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_mode

    def _read_again_if_changed(self) -> None:
        stamp = self._now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._accounts = self._read()
        except Exception as error:  # a broken file must neither lock out everyone nor let anyone in
            _log.error("the accounts' file is not used again until it is valid: %s", error)

    def _read(self) -> dict[str, Account]:
        require_private(self.path)
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            stored = orjson.loads(content)["accounts"] if content.strip() else {}
            return {name: account_from(name, each) for name, each in stored.items()}
        except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError, ValueError) as error:
            raise AccountsError(f"{self.path}: must be a file of accounts: {error}") from None

    def _write(self, accounts: Mapping[str, Account]) -> None:
        if len(accounts) > ACCOUNTS_MAX:
            raise AccountsError(f"accounts: must be at most {ACCOUNTS_MAX}; got {len(accounts)}")
        stored = {name: stored_account(accounts[name]) for name in sorted(accounts)}
        new = self.path.with_name(f"{self.path.name}.new")
        new.unlink(missing_ok=True)
        create_private(new)
        with new.open("wb") as file:
            file.write(orjson.dumps({"accounts": stored}, option=orjson.OPT_INDENT_2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)


def check_account(account: Account) -> None:
    """Raise :class:`AccountsError` unless the account has a usable name and at least one role."""
    if NAME.fullmatch(account.name) is None:
        raise AccountsError(
            f"name: must be 1 to 64 of a-z, 0-9 and . _ @ + -, and begin with a letter or digit; got {account.name!r}"
        )
    if not account.roles:
        raise AccountsError(f"roles: must be one or more of {', '.join(ROLES)}; got none")


def check_password(password: str) -> None:
    """Raise :class:`AccountsError` unless the length of the password is within its bounds."""
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise AccountsError(
            f"password: must have {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters; got {len(password)}"
        )


def with_password(account: Account, password: str) -> Account:
    """Return the account with this password, hashed by argon2id. Raises :class:`AccountsError`."""
    check_password(password)
    return replace(account, password_hash=_hasher().hash(password))


def is_password(account: Account | None, password: str) -> bool:
    """Return whether this is the account's password.

    The check takes as long for an unknown account as for a known one.
    """
    from argon2.exceptions import Argon2Error, InvalidHashError

    known = account is not None and bool(account.password_hash)
    stored = account.password_hash if account is not None and known else _hash_of_nothing()
    if len(password) > PASSWORD_CHARS_MAX:
        return False
    try:
        return _hasher().verify(stored, password) and known
    except (Argon2Error, InvalidHashError):
        return False


def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher

    return PasswordHasher()  # argon2id with the parameters of RFC 9106 for little memory


_dummy_hashes: list[str] = []


def _hash_of_nothing() -> str:
    if not _dummy_hashes:
        _dummy_hashes.append(_hasher().hash(os.urandom(16).hex()))
    return _dummy_hashes[0]


def account_from(name: str, stored: Mapping[str, Any]) -> Account:
    """Return the account that :func:`stored_account` stored.

    Raises :class:`AccountsError`, ``LookupError``, ``TypeError`` and ``ValueError``.
    """
    account = Account(
        name,
        frozenset(role_named(role) for role in stored["roles"]),
        str(stored["password"]),
        _limit(stored.get("clients")),
        _limit(stored.get("fees")),
    )
    check_account(account)
    return account


def stored_account(account: Account) -> dict[str, Any]:
    """Return the account as the JSON object in the file, without its name."""
    return {
        "password": account.password_hash,
        "roles": sorted(account.roles),
        "clients": None if account.clients is None else sorted(account.clients),
        "fees": None if account.fees is None else sorted(account.fees),
    }


def _limit(names: Iterable[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(map(str, names))
