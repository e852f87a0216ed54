"""Clients: the applications that may request payments, in one TOML file.

    [clients.dawson]
    role_arn = "arn:aws:iam::123456789012:role/dawson"
    fees = ["PETITION_FILING_FEE"]               # or "*" for every fee
    reopen_after_full_return = false             # true: a payment that its bank returned in full may be paid again
    reports = false                              # true: may run the named reports over its own payments
    sql = false                                  # true: may ask any question in SQL about its own payments

    [[clients.dawson.access_keys]]               # only for a server without AWS, which verifies signatures itself
    access_key_id = "AKIA…"
    secret = "…"

A file with access keys contains secrets, so it is rejected if users other than its owner can access it
(``chmod 600``). A file without access keys, as on AWS, may have any mode.

:class:`Clients` reads the file again when it has changed. If the new file is invalid, an error is logged and the old
clients stay in force. No ``repr`` and no message contains a secret.
"""

import logging
import os
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bursar.clock import Clock, system_clock
from bursar.private_files import TooOpen, require_private_modes

DEFAULT_CLIENTS: Final = Path(__file__).with_name("clients.toml")
RELOAD_CHECK_INTERVAL_S: Final = 1.0
SECRET_CHARS_MIN: Final = 16
EVERY_FEE: Final = "*"
_ROLE_ARN: Final = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/((?:[\w+=,.@-]+/)*)([\w+=,.@-]{1,64})")
_ASSUMED_ROLE_ARN: Final = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([\w+=,.@-]{1,64})/[\w+=,.@-]+")
_CLIENT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_FLAGS: Final = ("reopen_after_full_return", "reports", "sql")
_CLIENT_KEYS: Final = frozenset({"role_arn", "fees", "access_keys", *_FLAGS})
_ACCESS_KEY_KEYS: Final = frozenset({"access_key_id", "secret"})

Stamp = tuple[int, int, int]
"""A file's modification time in ns, its size and its mode.

The mode counts, because a new mode may make a rejected file acceptable.
"""

_log = logging.getLogger(__name__)


class ClientsError(ValueError):
    """The clients' file is invalid; the text names the file, the key and the problem, one line per problem."""


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key with which a client signs its requests."""

    access_key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Client:
    """An application. ``fees`` holds the fee keys that it may charge, or only ``"*"``.

    ``reopen_after_full_return``: after the return of a whole ACH debit, another attempt may pay the obligation.
    ``reports`` and ``sql``: it may run named reports, or any statement, over its own payments.
    """

    name: str
    role_arn: str
    fees: frozenset[str]
    access_keys: tuple[AccessKey, ...]
    reopen_after_full_return: bool = False
    reports: bool = False
    sql: bool = False

    def may_charge(self, fee_key: str) -> bool:
        """Return whether the client may charge this fee."""
        return EVERY_FEE in self.fees or fee_key in self.fees


class Clients:
    """The clients of one file, reloaded when the file changes."""

    def __init__(self, clients: Collection[Client]) -> None:
        self._install(clients)
        self._path: Path | None = None
        self._known_fees: frozenset[str] | None = None
        self._clock: Clock = system_clock
        self._stamp: Stamp | None = None
        self._secrets_are_public = False
        self._checked_at = 0.0

    @classmethod
    def load(
        cls, path: str | Path, *, known_fees: Collection[str] | None = None, clock: Clock = system_clock
    ) -> "Clients":
        """Read and validate ``path``; with ``known_fees``, any other fee is a problem too.

        Raises :class:`ClientsError` listing every problem, ``TooOpen``, and ``OSError``.
        """
        return cls._load(Path(path), known_fees, clock)

    @classmethod
    def _load(
        cls, path: Path, known_fees: Collection[str] | None, clock: Clock, *, secrets_are_public: bool = False
    ) -> "Clients":
        loaded = cls(())
        loaded._path, loaded._clock, loaded._secrets_are_public = path, clock, secrets_are_public
        loaded._known_fees = None if known_fees is None else frozenset(known_fees)
        loaded._stamp, loaded._checked_at = _stamp(path.stat()), clock()
        loaded._install(loaded._read(path))
        return loaded

    @classmethod
    def default(cls, *, clock: Clock = system_clock) -> "Clients":
        """Return the clients that ship with Bursar, for development only: their secret is public."""
        return cls._load(DEFAULT_CLIENTS, None, clock, secrets_are_public=True)

    def by_role_arn(self, arn: str) -> Client | None:
        """Return the client with this role, given its role ARN or the ARN of a session that assumed it."""
        self.reload_if_changed()
        return self._by_role.get(role_identity(arn) or ("", "", ""))

    def by_name(self, name: str) -> Client | None:
        """Return the client with this name; None if there is none."""
        self.reload_if_changed()
        return self._by_name.get(name)

    def by_access_key(self, access_key_id: str) -> tuple[Client, AccessKey] | None:
        """Return the client that signs with ``access_key_id``, and the key with its secret."""
        self.reload_if_changed()
        return self._by_access_key.get(access_key_id)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all clients, sorted."""
        return tuple(sorted(self._by_name))

    def reload_if_changed(self) -> None:
        """Reload the file if its stamp has changed; check at most once in ``RELOAD_CHECK_INTERVAL_S``."""
        if self._path is None or self._clock() - self._checked_at < RELOAD_CHECK_INTERVAL_S:
            return
        self._checked_at = self._clock()
        try:
            stamp = _stamp(self._path.stat())
        except OSError as error:
            self._log_rejected(error)
            return
        if stamp != self._stamp:
            self._stamp = stamp
            self.reload()

    def reload(self) -> bool:
        """Read the file again. If it is invalid, log one error, keep the old clients and return False."""
        if self._path is None:
            return True
        try:
            self._install(self._read(self._path))
        except (OSError, ClientsError, TooOpen) as error:
            self._log_rejected(error)
            return False
        _log.info("clients reloaded from %s: %s", self._path, ", ".join(self.names))
        return True

    def _read(self, path: Path) -> tuple[Client, ...]:
        with path.open("rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read()
        clients = parse_clients(content, source=str(path), known_fees=self._known_fees)
        if not self._secrets_are_public and any(client.access_keys for client in clients):
            require_private_modes({path: mode})
        return clients

    def _log_rejected(self, error: Exception) -> None:
        _log.error("clients not reloaded, the old ones stay in force: %s", error)

    def _install(self, clients: Collection[Client]) -> None:
        self._by_name = {client.name: client for client in clients}
        self._by_role = {_required_identity(client.role_arn): client for client in clients}
        self._by_access_key = {key.access_key_id: (client, key) for client in clients for key in client.access_keys}


def role_identity(arn: str) -> tuple[str, str, str] | None:
    """Return (partition, account, role name) of a role's ARN or an assumed role's; None for any other ARN.

    An assumed-role ARN has no role path, and role names are unique in an account independent of their path, so the path
    is ignored. Source: AWS IAM user guide, "IAM identifiers".
    """
    if match := _ROLE_ARN.fullmatch(arn):
        return match[1], match[2], match[4]
    if match := _ASSUMED_ROLE_ARN.fullmatch(arn):
        return match[1], match[2], match[3]
    return None


def parse_clients(content: bytes, *, source: str, known_fees: Collection[str] | None = None) -> tuple[Client, ...]:
    """Return the clients in ``content``; problems name it ``source``. Raises :class:`ClientsError`."""
    try:
        tree = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ClientsError(f"{source}: must be TOML: {error}") from error
    reader = _Reader(source, known_fees)
    clients = reader.clients(tree)
    if reader.problems:
        raise ClientsError("\n".join(reader.problems))
    return clients


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_size, status.st_mode


def _required_identity(role_arn: str) -> tuple[str, str, str]:
    identity = role_identity(role_arn)
    if identity is None:
        raise ClientsError(f"role_arn: must be a role's ARN; got {role_arn}")
    return identity


class _Reader:
    """Converts the file's tree to clients and collects every problem instead of stopping at the first."""

    def __init__(self, source: str, known_fees: Collection[str] | None) -> None:
        self.source = source
        self.known_fees = known_fees
        self.problems: list[str] = []

    def clients(self, tree: Mapping[str, Any]) -> tuple[Client, ...]:
        self._reject_unknown_keys("", tree, frozenset({"clients"}))
        tables = tree.get("clients")
        if not isinstance(tables, dict) or not tables:
            self._add_problem("clients", "must have one table [clients.NAME] for each client")
            return ()
        found = tuple(c for name, table in tables.items() if (c := self._client(name, table)) is not None)
        self._reject_duplicates("role_arn", [(c.name, role_identity(c.role_arn)) for c in found])
        self._reject_duplicates("access_keys", [(c.name, key.access_key_id) for c in found for key in c.access_keys])
        return found

    def _client(self, name: str, table: object) -> Client | None:
        where = f"clients.{name}"
        if not isinstance(table, dict):
            self._add_problem(where, "must be a table")
            return None
        before = len(self.problems)
        if not _CLIENT_NAME.fullmatch(name):
            self._add_problem(where, "must be a name of 1 to 64 of the characters A-Z a-z 0-9 _ . -")
        self._reject_unknown_keys(where, table, _CLIENT_KEYS)
        role_arn = table.get("role_arn")
        if not isinstance(role_arn, str) or not _ROLE_ARN.fullmatch(role_arn):
            rule = "must be a role's ARN such as arn:aws:iam::123456789012:role/NAME"
            self._add_problem(f"{where}.role_arn", f"{rule}; got {role_arn!r}")
        fees = self._fees(f"{where}.fees", table.get("fees"))
        keys = self._access_keys(f"{where}.access_keys", table.get("access_keys", []))
        flags = {name: self._flag(f"{where}.{name}", table.get(name, False)) for name in _FLAGS}
        return None if len(self.problems) > before else Client(name, str(role_arn), fees, keys, **flags)

    def _flag(self, where: str, value: object) -> bool:
        if not isinstance(value, bool):
            self._add_problem(where, f"must be true or false; got {value!r}")
        return value is True

    def _fees(self, where: str, value: object) -> frozenset[str]:
        if value == EVERY_FEE:
            return frozenset({EVERY_FEE})
        if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
            self._add_problem(where, 'must be a list of fee keys, or "*" for every fee')
            return frozenset()
        if self.known_fees is not None:
            for key in value:
                if key not in self.known_fees:
                    self._add_problem(where, f"must be fees of the catalogue; got {key}")
        return frozenset(value)

    def _access_keys(self, where: str, rows: object) -> tuple[AccessKey, ...]:
        if not isinstance(rows, list):
            self._add_problem(where, "must be a list of tables")
            return ()
        keys = []
        for number, row in enumerate(rows):
            here = f"{where}[{number}]"
            if not isinstance(row, dict):
                self._add_problem(here, "must be a table")
                continue
            self._reject_unknown_keys(here, row, _ACCESS_KEY_KEYS)
            key_id, secret = row.get("access_key_id"), row.get("secret")
            if not isinstance(key_id, str) or not re.fullmatch(r"\w{4,128}", key_id, re.ASCII):
                self._add_problem(f"{here}.access_key_id", "must be 4 to 128 letters, digits or underscores")
            elif not isinstance(secret, str) or len(secret) < SECRET_CHARS_MIN:
                self._add_problem(f"{here}.secret", f"must be text of at least {SECRET_CHARS_MIN} characters")
            else:
                keys.append(AccessKey(key_id, secret))
        return tuple(keys)

    def _reject_duplicates(self, what: str, owners: list[tuple[str, Any]]) -> None:
        first: dict[Any, str] = {}
        for name, value in owners:
            if value in first:
                self._add_problem(f"clients.{name}.{what}", f"must differ from that of clients.{first[value]}")
            first.setdefault(value, name)

    def _reject_unknown_keys(self, where: str, table: Mapping[str, Any], known: frozenset[str]) -> None:
        for key in sorted(table.keys() - known):
            self._add_problem(
                f"{where}.{key}".lstrip("."), f"must be one of the known keys: {', '.join(sorted(known))}"
            )

    def _add_problem(self, where: str, problem: str) -> None:
        self.problems.append(f"{self.source}: {where}: {problem}")
