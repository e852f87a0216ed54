"""The settings of the weather: three presets, and a TOML file with settings for all tables and for single ones.

    seed = 7
    weather = "typical"            # calm, typical or storm: the values of all settings that are not given
    small_page_share = 0.5         # for every table

    [tables.orders]
    weather = "storm"
    stale_read_lag_ms = 3000

A share is a probability, from 0 to 1.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

DAY_S: Final = 86_400
SEED_MAX: Final = 2**63 - 1


class WeatherError(ValueError):
    """A file or an argument that is not a valid description of weather."""


def _share(default: float = 0.0) -> Any:
    return field(default=default, metadata={"kind": float, "most": 1.0})


def _count(default: int, most: int, fewest: int = 0) -> Any:
    return field(default=default, metadata={"kind": int, "fewest": fewest, "most": most})


@dataclass(frozen=True, slots=True)
class TableWeather:
    """The weather of one table. The defaults are calm: nothing happens."""

    stale_read_share: float = _share()
    """The share of eventually consistent reads of a partition that are answered as of ``stale_read_lag_ms`` ago."""
    stale_read_lag_ms: int = _count(1_000, 60_000)
    stale_index_share: float = _share()
    """The share of reads of a partition through a global index that show it as of ``stale_index_lag_ms`` ago."""
    stale_index_lag_ms: int = _count(2_000, 60_000)
    transaction_conflict_share: float = _share()
    """The share of writes and transactional reads that conflict with a transaction on the same item."""
    transaction_conflict_requests: int = _count(5, 1_000, 1)
    """An item is contended until this number of further requests have written to the table."""
    throttled_share: float = _share()
    """The share of requests that are throttled as if other clients had used the partition's capacity."""
    partition_read_units_per_s: int = _count(0, 1_000_000)
    """The read units of one partition; 0 for no limit. Amazon's is 3,000."""
    partition_write_units_per_s: int = _count(0, 1_000_000)
    """The write units of one partition; 0 for no limit. Amazon's is 1,000."""
    partitions: int = _count(4, 1_000, 1)
    """The partitions over which the hashes of the keys spread; a new on-demand table has 4."""
    provisioned_limits: bool = field(default=False, metadata={"kind": bool})
    """Whether the throughput of a provisioned table or index is enforced."""
    burst_s: int = _count(300, 3_600)
    """How many seconds of unused provisioned throughput are kept for bursts."""
    partial_batch_share: float = _share()
    """The share of batches with several elements of which a part is returned unprocessed."""
    small_page_share: float = _share()
    """The share of pages of Query, Scan and SELECT that end early."""
    small_page_items_max: int = _count(10, 1_000, 1)
    """The most evaluated items of such a page."""
    ttl_delay_s: int = _count(0, 30 * DAY_S)
    """How long an expired item is kept."""
    stream_repeat_share: float = _share()
    """The share of pages of stream records of which a part is delivered again."""
    stream_delay_ms: int = _count(0, 3_600_000)
    """The age from which on a stream record can be read."""
    error_after_write_share: float = _share()
    """The share of successful writes that are answered with 500."""
    slow_answer_share: float = _share()
    """The share of answers that are delayed."""
    slow_answer_ms: int = _count(100, 600_000)
    """The longest delay of these answers."""


CALM: Final = TableWeather()
TYPICAL: Final = TableWeather(
    stale_read_share=0.1,
    stale_read_lag_ms=100,
    stale_index_share=0.2,
    stale_index_lag_ms=300,
    transaction_conflict_share=0.1,
    transaction_conflict_requests=2,
    throttled_share=0.005,
    partition_read_units_per_s=3_000,
    partition_write_units_per_s=1_000,
    provisioned_limits=True,
    partial_batch_share=0.02,
    small_page_share=0.02,
    small_page_items_max=100,
    ttl_delay_s=600,
    stream_repeat_share=0.01,
    stream_delay_ms=200,
    error_after_write_share=0.001,
    slow_answer_share=0.02,
    slow_answer_ms=50,
)
STORM: Final = TableWeather(
    stale_read_share=0.5,
    stale_read_lag_ms=2_000,
    stale_index_share=0.5,
    stale_index_lag_ms=5_000,
    transaction_conflict_share=0.5,
    transaction_conflict_requests=10,
    throttled_share=0.1,
    partition_read_units_per_s=3_000,
    partition_write_units_per_s=1_000,
    provisioned_limits=True,
    partial_batch_share=0.5,
    small_page_share=0.5,
    small_page_items_max=10,
    ttl_delay_s=2 * DAY_S,
    stream_repeat_share=0.3,
    stream_delay_ms=1_000,
    error_after_write_share=0.05,
    slow_answer_share=0.05,
    slow_answer_ms=200,
)
PRESETS: Final[Mapping[str, TableWeather]] = {"calm": CALM, "typical": TYPICAL, "storm": STORM}
_FIELDS: Final = {one.name: one.metadata for one in dataclasses.fields(TableWeather)}


@dataclass(frozen=True, slots=True)
class Weather:
    """The weather of a store: ``everywhere``, except for the tables in ``tables``. ``name`` is for reports."""

    name: str
    seed: int = 0
    everywhere: TableWeather = CALM
    tables: Mapping[str, TableWeather] = field(default_factory=dict)

    def of(self, table: str) -> TableWeather:
        """Return the weather of a table, by its name."""
        return self.tables.get(table, self.everywhere)


CALM_WEATHER: Final = Weather("calm")


def named_weather(name: str, seed: int | None = None) -> Weather:
    """Return the weather of a preset's name or of a TOML file. ``seed`` replaces the file's seed, or the default 0.

    Raises :class:`WeatherError`.
    """
    if name in PRESETS:
        return Weather(name, _seed({"seed": 0 if seed is None else seed}), PRESETS[name])
    if not name.endswith(".toml"):
        raise WeatherError(f"{name}: must be {_names()}, or a file whose name ends with .toml")
    try:
        document = tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise WeatherError(f"{name}: {error.strerror}") from None
    except ValueError as error:
        raise WeatherError(f"{name}: must be TOML in UTF-8; got {error}") from None
    try:
        weather = read_weather(document, name)
    except WeatherError as error:
        raise WeatherError(f"{name}: {error}") from None
    return weather if seed is None else dataclasses.replace(weather, seed=_seed({"seed": seed}))


def read_weather(document: Mapping[str, Any], name: str = "own") -> Weather:
    """Return the weather that a TOML document describes. Raises :class:`WeatherError`."""
    general = {key: value for key, value in document.items() if key not in ("seed", "tables")}
    everywhere = _table_weather(general, CALM, "")
    tables = document.get("tables", {})
    if not isinstance(tables, dict):
        raise WeatherError(f"tables: must be a table of TOML; got {tables!r}")
    return Weather(
        name,
        _seed(document),
        everywhere,
        {table: _table_weather(given, everywhere, f"tables.{table}") for table, given in tables.items()},
    )


def _seed(document: Mapping[str, Any]) -> int:
    seed = document.get("seed", 0)
    if type(seed) is not int or not 0 <= seed <= SEED_MAX:
        raise WeatherError(f"seed: must be a whole number from 0 to {SEED_MAX}; got {seed!r}")
    return seed


def _table_weather(given: Any, otherwise: TableWeather, place: str) -> TableWeather:
    if not isinstance(given, dict):
        raise WeatherError(f"{place}: must be a table of TOML; got {given!r}")
    prefix = f"{place}." if place else ""
    values = dict(given)
    if "weather" in values:
        preset = values.pop("weather")
        if preset not in PRESETS:
            raise WeatherError(f"{prefix}weather: must be {_names()}; got {preset!r}")
        otherwise = PRESETS[preset]
    for key, value in values.items():
        if key not in _FIELDS:
            raise WeatherError(f"{prefix}{key}: must be a setting of the weather; got {key}")
        values[key] = _value(prefix + key, value, _FIELDS[key])
    return dataclasses.replace(otherwise, **values)


def _value(place: str, value: Any, rule: Mapping[str, Any]) -> Any:
    kind = rule["kind"]
    if kind is bool:
        if type(value) is not bool:
            raise WeatherError(f"{place}: must be true or false; got {value!r}")
        return value
    fewest, most = rule.get("fewest", 0), rule["most"]
    allowed = (int, float) if kind is float else (int,)
    if type(value) not in allowed or not fewest <= value <= most:
        what = "a number" if kind is float else "a whole number"
        raise WeatherError(f"{place}: must be {what} from {fewest} to {most}; got {value!r}")
    return kind(value)


def _names() -> str:
    return ", ".join(PRESETS)
