"""The subscriptions, in one TOML file.

[webhooks.dawson-status]
client = "dawson"                        # the client whose payments are reported: a name in the clients' file
url = "https://dawson.example/bursar"    # https; a public address, or one that the operator allows
secret = "…"                             # at least 32 characters; signs every delivery
"""

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

SECRET_CHARS_MIN: Final = 32
URL_CHARS_MAX: Final = 2000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_KEYS: Final = frozenset({"client", "url", "secret"})


class SubscriptionsError(ValueError):
    """The file is not valid. The text has one line per problem, with the file, the key and the problem."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One receiver of one client's events."""

    name: str
    client: str
    url: str
    secret: str = field(repr=False)


class Subscriptions:
    """All subscriptions, by name."""

    def __init__(self, subscriptions: Collection[Subscription]) -> None:
        self._by_name = {each.name: each for each in subscriptions}

    @classmethod
    def load(
        cls, path: str | Path, *, known_clients: Collection[str] | None = None, plain_http: bool = False
    ) -> "Subscriptions":
        """Read and validate ``path``. With ``known_clients``, a subscription of any other client is a problem too.

        ``plain_http``: http URLs are allowed, for development. Raises :class:`SubscriptionsError` with every problem,
        and ``OSError``.
        """
        content = Path(path).read_bytes()
        return cls.parse(content, source=str(path), known_clients=known_clients, plain_http=plain_http)

    @classmethod
    def parse(
        cls,
        content: bytes,
        *,
        source: str,
        known_clients: Collection[str] | None = None,
        plain_http: bool = False,
    ) -> "Subscriptions":
        """Return the subscriptions in ``content``. Problems name it ``source``. Raises as :meth:`load`."""
        try:
            tree = tomllib.loads(content.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SubscriptionsError(f"{source}: not TOML: {error}") from error
        problems = [f"{key}: is not known here (known: webhooks)" for key in tree if key != "webhooks"]
        tables = tree.get("webhooks", {})
        if not isinstance(tables, dict):
            raise SubscriptionsError(f"{source}: webhooks: must be tables [webhooks.NAME]")
        for name, table in tables.items():
            problems += [f"webhooks.{name}{problem}" for problem in _problems(name, table, known_clients, plain_http)]
        if problems:
            raise SubscriptionsError("\n".join(f"{source}: {problem}" for problem in problems))
        return cls([Subscription(name, **table) for name, table in tables.items()])

    @property
    def all(self) -> tuple[Subscription, ...]:
        """Every subscription, in the order of the file."""
        return tuple(self._by_name.values())

    def for_client(self, client: str) -> tuple[Subscription, ...]:
        """Return the subscriptions to the payments of ``client``."""
        return tuple(each for each in self._by_name.values() if each.client == client)

    def get(self, name: str) -> Subscription | None:
        """Return the subscription with a name; None if there is none."""
        return self._by_name.get(name)


def _problems(name: str, table: Any, known_clients: Collection[str] | None, plain_http: bool) -> list[str]:
    if not isinstance(table, dict):
        return [": must be a table"]
    problems = [
        f".{key}: is not known here (known: {', '.join(sorted(_KEYS))})" for key in sorted(table.keys() - _KEYS)
    ]
    problems += [f".{key}: must be text, and present" for key in sorted(_KEYS) if not isinstance(table.get(key), str)]
    if not _NAME.fullmatch(name):
        problems.append(": the name must have letters, digits, dots, dashes and underscores, at most 64")
    client = table.get("client")
    if known_clients is not None and isinstance(client, str) and client not in known_clients:
        problems.append(f".client: must be the name of a client; got {client!r}")
    if isinstance(table.get("secret"), str) and len(table["secret"]) < SECRET_CHARS_MIN:
        problems.append(f".secret: must have at least {SECRET_CHARS_MIN} characters")
    schemes = ("https", "http") if plain_http else ("https",)
    if isinstance(table.get("url"), str) and not _has_scheme(table["url"], schemes):
        also = "" if plain_http else " (or http with BURSAR_WEBHOOKS_PLAIN_HTTP=true, for development)"
        problems.append(f".url: must be an absolute https URL without user information{also}")
    return problems


def _has_scheme(url: str, schemes: Collection[str]) -> bool:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0  # port raises ValueError for an impossible port
        return parts.scheme in schemes and named and "@" not in parts.netloc and len(url) <= URL_CHARS_MAX
    except ValueError:
        return False
