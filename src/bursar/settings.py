"""All settings of Bursar in one table.

Flags have priority over BURSAR_* variables, which have priority over bursar.toml.

:data:`SETTINGS` is the table. docs/settings.md is generated from it, and a test compares the two.
"""

import ipaddress
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ENVIRONMENT_PREFIX = "BURSAR_"
SETTINGS_FILE = "bursar.toml"


class SettingError(ValueError):
    """A setting cannot be used. The text names the setting, its source and the values that it accepts."""


def _nonempty_text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text that is not empty")
    return value.strip()


def _port(value: Any) -> int:
    port = _integer(value)
    if not 0 <= port <= 65_535:
        raise ValueError("must be a TCP port, 0 to 65535 (0: any free one)")
    return port


def _integer(value: Any) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise ValueError("must be a whole number") from None


def _count(value: Any) -> int:
    number = _integer(value)
    if number < 1:
        raise ValueError("must be a whole number of 1 or more")
    return number


def _seconds(value: Any) -> float:
    try:
        seconds = float(str(value))
    except ValueError:
        raise ValueError("must be a number of seconds") from None
    if not math.isfinite(seconds) or seconds <= 0:
        raise ValueError("must be a number of seconds above 0")
    return seconds


def _rate(value: Any) -> float:
    try:
        return _seconds(value)
    except ValueError:
        raise ValueError("must be a number above 0") from None


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value not in ("true", "false"):
        raise ValueError("must be true or false")
    return bool(value == "true")


def _http_url(value: Any) -> str:
    text = _nonempty_text(value)
    parts = urlsplit(text)
    # Reading the port raises ValueError if it is not a port number.
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("must be an absolute http or https URL")
    return text


_DEFAULT_PORTS = {"http": 80, "https": 443}
"""Scheme of a page's origin → the default port, which browsers leave out."""


def _networks(value: Any) -> str:
    text = _nonempty_text(value)
    for network in text.split(","):
        try:
            ipaddress.ip_network(network)
        except ValueError:
            raise ValueError("must be networks such as 10.20.0.0/16, separated by commas") from None
    return text


def _origins(value: Any) -> str:
    """Return the origins in a text that separates them by commas, each in the form that a browser sends."""
    text = _nonempty_text(value)
    for origin in text.split(","):
        parts = urlsplit(origin)
        whole = origin == f"{parts.scheme}://{parts.netloc}".lower() and "@" not in parts.netloc
        shown_port = parts.port != _DEFAULT_PORTS.get(parts.scheme)
        if not (whole and parts.hostname and parts.scheme in _DEFAULT_PORTS and shown_port):
            raise ValueError("must be origins such as https://dashboard.example, in lower case, separated by commas")
    return text


def _store_url(value: Any) -> str:
    text = _nonempty_text(value)
    if text.split(":", 1)[0] not in ("file", "dynamodb", "dynamodb+http", "dynamodb+https") or ":" not in text:
        raise ValueError("must be file:PATH, dynamodb:?region=NAME or dynamodb+http://HOST:PORT")
    return text


def _s3_url(value: Any) -> str:
    text = _nonempty_text(value)
    if not text.startswith("s3://") or not urlsplit(text).netloc:
        raise ValueError("must be s3://BUCKET/PREFIX/")
    return text


def _lake_url(value: Any) -> str:
    text = _nonempty_text(value)
    if text.split(":", 1)[0] not in ("file", "s3") or ":" not in text:
        raise ValueError("must be file:FOLDER or s3://BUCKET/PREFIX")
    return text


def _root_copies(value: Any) -> str:
    text = _nonempty_text(value)
    if text.startswith("s3:") and not urlsplit(text).netloc:
        raise ValueError("must be a file or s3://BUCKET/PREFIX")
    return text


def _one_of(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        text = _nonempty_text(value)
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return parse


def _some_of(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        names = [name.strip() for name in _nonempty_text(value).split(",")]
        if names != ["none"] and (not set(names) <= set(choices) or len(set(names)) != len(names)):
            raise ValueError(f"must be none, or a comma list of {', '.join(choices)}, each once")
        return ",".join(names)

    return parse


def list_of(text: str) -> tuple[str, ...]:
    """Return the names in a setting that is a comma list; ``none`` is an empty list."""
    return () if text == "none" else tuple(text.split(","))


def _setting(default: Any, parse: Callable[[Any], Any], meaning: str) -> Any:
    return field(default=default, metadata={"parse": parse, "meaning": meaning})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a Bursar process. Field names are the names of the settings in lower case; units come last."""

    data: str = _setting("data", _nonempty_text, "the folder of the embedded store, the lake and the simulator's books")
    store: str | None = _setting(
        None, _store_url, "the URL of the store: `file:PATH` (default: `bursar.db` in the data folder), "
        "`dynamodb:?region=NAME` or `dynamodb+http://HOST:PORT`"
    )  # fmt: skip
    lake: str | None = _setting(
        None,
        _lake_url,
        "the URL of the lake: `file:FOLDER` (default: `lake` in the data folder) or `s3://BUCKET/PREFIX`",
    )
    athena_workgroup: str = _setting(
        "primary", _nonempty_text, "the workgroup of Athena in which `bursar report --engine athena` runs"
    )
    athena_database: str = _setting("bursar", _nonempty_text, "the Glue database of the lake's tables, for Athena")
    athena_output: str | None = _setting(
        None,
        _s3_url,
        "where Athena writes its answers, as `s3://BUCKET/PREFIX/`; unset: as the workgroup says",
    )
    table: str = _setting("bursar-payments", _nonempty_text, "the name of the DynamoDB table")
    host: str = _setting("127.0.0.1", _nonempty_text, "the address on which the portal listens")
    port: int = _setting(8080, _port, "the port on which the portal listens; 0: any free port")
    workers: int = _setting(1, _count, "the number of portal processes that share the port")
    auth: str = _setting(
        "sigv4",
        _one_of("sigv4", "none"),
        "`sigv4`: callers sign their requests; `none`: requests are not signed, loopback only",
    )
    fees: str | None = _setting(None, _nonempty_text, "the fee catalogue, a TOML file (default: built-in examples)")
    clients: str | None = _setting(
        None, _nonempty_text, "the clients and their keys, a TOML file that only its owner may read (`chmod 600`)"
    )
    development_client: bool = _setting(
        False,
        _boolean,
        "`true`: accept the development client if `BURSAR_CLIENTS` is not set; its key is public and it may charge "
        "every fee; loopback only",
    )
    environment: str = _setting(
        "unknown", _nonempty_text, "the name of the deployment, as `prod` or `dev`; `GET /health` reports it"
    )
    webhooks: str | None = _setting(
        None,
        _nonempty_text,
        "the webhooks and their signing secrets, a TOML file that only its owner may read (`chmod 600`); "
        "unset: no webhooks",
    )
    webhooks_private_targets: str | None = _setting(
        None,
        _networks,
        "networks whose addresses webhooks may reach although they are not public, as `10.20.0.0/16,127.0.0.0/8`; "
        "a WARNING at start",
    )
    webhooks_plain_http: bool = _setting(
        False, _boolean, "`true`: webhooks may have http URLs, for development; a WARNING at start"
    )
    cors_origins: str | None = _setting(
        None,
        _origins,
        "the origins whose pages may read the dashboard's endpoints in a browser, as "
        "`https://dashboard.example,https://test.example`; unset: none",
    )
    dashboard: bool = _setting(True, _boolean, "`false`: the portal does not serve the dashboard")
    dashboard_port: int = _setting(8081, _port, "the port of `bursar dashboard`; 0: any free port")
    dashboard_url: str | None = _setting(
        None,
        _http_url,
        "the address under which people reach the dashboard, as `https://pay.example.gov`; unset: this machine alone",
    )
    accounts: str | None = _setting(
        None,
        _nonempty_text,
        "the accounts of people, a file that `bursar user` writes (default: `accounts.json` in the data folder)",
    )
    sign_in: str = _setting(
        "accounts",
        _one_of("accounts", "oidc", "accounts,oidc"),
        "how people sign in to the dashboard: `accounts` (the file of `bursar user`), `oidc` (an OpenID Connect "
        "provider) or `accounts,oidc`",
    )
    oidc_issuer: str | None = _setting(
        None, _http_url, "the issuer of the OpenID Connect provider, exactly as it names itself; https, or loopback"
    )
    oidc_client_id: str | None = _setting(
        None, _nonempty_text, "the client id of the dashboard at the OpenID Connect provider"
    )
    oidc_client_secret: str | None = _setting(
        None, _nonempty_text, "the client secret; unset, also without a file of it: a public client, with PKCE alone"
    )
    oidc_client_secret_file: str | None = _setting(
        None, _nonempty_text, "a file with the client secret, which only its owner may read (`chmod 600`)"
    )
    oidc_scopes: str = _setting(
        "openid email profile", _nonempty_text, "the scopes to ask for, separated by spaces; `openid` is one of them"
    )
    oidc_name_claim: str = _setting(
        "email", _nonempty_text, "the claim with a person's name in the access log and in the history of payments"
    )
    oidc_roles_claim: str = _setting(
        "roles", _nonempty_text, "the claim with a person's roles or groups; a path such as `realm_access.roles` too"
    )
    oidc_roles: str | None = _setting(
        None,
        _nonempty_text,
        "which value of that claim gives which role, as `Pay Finance=finance;Pay Audit=auditor`; unset: the values are "
        "the names of roles",
    )
    oidc_clients_claim: str | None = _setting(
        None,
        _nonempty_text,
        "the claim with the clients whose payments a person sees; its value `*` is no limit; unset: no limits",
    )
    oidc_fees_claim: str | None = _setting(
        None, _nonempty_text, "the claim with the fees whose payments a person sees; as the one of the clients"
    )
    rate_per_s: float = _setting(
        5000.0, _rate, "requests per second of one client to all workers together; more are answered with 429"
    )
    at_once_max: int = _setting(
        256, _count, "concurrent requests of one client to all workers together; more are answered with 429"
    )
    paygov_url: str | None = _setting(None, _http_url, "the URL of Pay.gov's SOAP service TCSOnlineService")
    paygov_query_url: str | None = _setting(
        None,
        _http_url,
        "the URL of Pay.gov's SOAP service TCSSingleQueryService; unset: the lookup `query` is not there",
    )
    paygov_lookups: str = _setting(
        "details,query",
        _some_of("details", "query"),
        "the lookups by agency tracking id to ask, in this order: `details` (getDetails), `query` "
        "(TCSSingleQueryService), or `none`; a collection that one of them finds is always believed",
    )
    paygov_lookups_confirmed: str = _setting(
        "query",
        _some_of("details", "query"),
        'the lookups whose answer "none" is believed, because `bursar paygov probe` has confirmed them; a wrong one '
        "would fail attempts that were charged",
    )
    payment_url: str | None = _setting(None, _http_url, "the URL of Pay.gov's hosted pages, to which payers are sent")
    paygov_namespace: str | None = _setting(None, _nonempty_text, "the XML namespace of TCSOnlineService's operations")
    paygov_timeout_s: float = _setting(20.0, _seconds, "the timeout of one call to Pay.gov, seconds")
    paygov_client_cert: str | None = _setting(None, _nonempty_text, "the client certificate for Pay.gov, a PEM file")
    paygov_client_key: str | None = _setting(
        None, _nonempty_text, "the key of that certificate, a PEM file that only its owner may read (`chmod 600`)"
    )
    paygov_bearer: str | None = _setting(None, _nonempty_text, "the bearer token that a simulator may require")
    sweep_interval_s: float = _setting(5.0, _seconds, "the pause between two sweeps, seconds")
    refresh_min_s: float = _setting(
        2.0, _seconds, "the shortest time between two lookups of one attempt by `details`, seconds"
    )
    lake_interval_s: float = _setting(60.0, _seconds, "the pause between two writes of the lake, seconds")
    lake_verify_interval_s: float = _setting(
        86_400.0,
        _seconds,
        "the pause between two verifications of the lake, seconds; `GET /health` is degraded after twice this time",
    )
    lake_retention_years: int = _setting(
        7,
        _count,
        "how long the lake keeps payments that have ended, years; older months leave it, and the store keeps them",
    )
    audit_roots: str | None = _setting(
        None,
        _root_copies,
        "where the daily roots of all events are copied: a file, or `s3://BUCKET/PREFIX` in a bucket with Object Lock; "
        "unset: the roots are in the store and the log only",
    )
    simulator_port: int = _setting(3366, _port, "the port of Pay.gov's simulator")
    ach_settle_s: float = _setting(15.0, _seconds, "the time after which the simulator settles an ACH debit, seconds")
    log_level: str = _setting(
        "info",
        _one_of("debug", "info", "warning", "error"),
        "the lowest level that is logged: `debug`, `info`, `warning` or `error`",
    )

    @property
    def store_url(self) -> str:
        """The URL of the store; by default a file in the data folder."""
        return self.store or f"file:{Path(self.data) / 'bursar.db'}"

    @property
    def store_setting(self) -> str:
        """The name of the setting that names the store, for error messages."""
        return f"{ENVIRONMENT_PREFIX}{'STORE' if self.store else 'DATA'}"

    @property
    def accepts_development_client(self) -> bool:
        """Whether the portal accepts the development client, whose key is public.

        It must be allowed, and no clients' file be set.
        """
        return self.clients is None and self.development_client

    @property
    def private_webhook_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """The networks with private addresses that webhooks may reach."""
        networks = self.webhooks_private_targets
        return tuple(ipaddress.ip_network(each) for each in networks.split(",")) if networks else ()

    @property
    def browser_origins(self) -> tuple[str, ...]:
        """The origins whose pages may read the dashboard's endpoints."""
        return tuple(self.cors_origins.split(",")) if self.cors_origins else ()

    @property
    def accounts_path(self) -> str:
        """The file of the accounts of people; by default in the data folder."""
        return self.accounts or str(Path(self.data) / "accounts.json")

    @property
    def lake_url(self) -> str:
        """The URL of the lake; by default a folder in the data folder."""
        return self.lake or f"file:{Path(self.data) / 'lake'}"


SECRET_SETTINGS = frozenset({"paygov_bearer", "oidc_client_secret"})
"""The settings whose values no command prints."""

SETTINGS = {each.name: each for each in fields(Settings)}
"""Name of a setting → its field. The field's metadata has ``parse`` (raises ValueError) and ``meaning``."""


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Settings:
    """Return the settings from ``flags`` (None: the flag is absent), ``environ`` and ``folder``/bursar.toml.

    Raises:
        SettingError: one of the three has an unknown name, or a value that its setting does not accept.
    """
    chosen: dict[str, Any] = {}
    for name, value in _from_file(folder / SETTINGS_FILE).items():
        chosen[name] = _parse(name, value, f"{name} in {folder / SETTINGS_FILE}")
    for variable, value in environ.items():
        if variable.startswith(ENVIRONMENT_PREFIX):
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
            chosen[name] = _parse(name, value, variable)
    for name, value in flags.items():
        if value is not None:
            chosen[name] = _parse(name, value, f"--{name.replace('_', '-')}")
    return Settings(**chosen)


def setting_text(value: Any) -> str:
    """Return ``value`` in the form of a BURSAR_* variable."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} is not TOML: {error}") from None


def _parse(name: str, value: Any, source: str) -> Any:
    setting = SETTINGS.get(name)
    if setting is None:
        import difflib  # only for a mistake

        near = difflib.get_close_matches(name, SETTINGS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SettingError(f"{source}: there is no setting {name!r}{hint}")
    try:
        return setting.metadata["parse"](value)
    except ValueError as error:
        raise SettingError(f"{source}: {error}; got {value!r}") from None
