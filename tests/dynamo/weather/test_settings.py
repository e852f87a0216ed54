"""The settings of the weather: presets, files, settings of one table, and one line for each fault."""

import dataclasses
import tomllib
from pathlib import Path

import pytest

from bursar.dynamo.weather.settings import (
    CALM,
    PRESETS,
    STORM,
    TYPICAL,
    TableWeather,
    WeatherError,
    named_weather,
    read_weather,
)

PAGE = (Path(__file__).parents[3] / "docs" / "weather.md").read_text(encoding="utf-8")


def test_a_preset_is_the_weather_of_every_table() -> None:
    weather = named_weather("storm", 7)
    assert (weather.name, weather.seed, weather.of("any")) == ("storm", 7, STORM)


def test_a_file_has_settings_for_all_tables_and_for_one(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        'seed = 5\nweather = "typical"\nsmall_page_share = 0.5\n'
        '[tables.orders]\nweather = "storm"\nstale_read_share = 1\n[tables.notes]\nttl_delay_s = 0\n'
    )
    weather = named_weather(str(file))
    typical = dataclasses.replace(TYPICAL, small_page_share=0.5)
    assert weather.seed == 5
    assert weather.of("else") == typical
    assert weather.of("orders") == dataclasses.replace(STORM, stale_read_share=1.0)
    assert weather.of("notes") == dataclasses.replace(typical, ttl_delay_s=0)
    assert named_weather(str(file), 9).seed == 9


def test_calm_has_no_share_and_no_limit() -> None:
    assert read_weather({}).of("t") == CALM
    happens = [name for name in dataclasses.asdict(CALM) if name.endswith("_share")]
    assert len(happens) == 9
    assert not any(getattr(CALM, name) for name in happens)
    assert not any((CALM.partition_read_units_per_s, CALM.partition_write_units_per_s, CALM.provisioned_limits))
    assert not any((CALM.ttl_delay_s, CALM.stream_delay_ms))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stale_read_share = 1.5", "stale_read_share: must be a number from 0 to 1.0; got 1.5"),
        ("stale_read_share = true", "stale_read_share: must be a number from 0 to 1.0; got True"),
        ("stale_read_share = nan", "stale_read_share: must be a number from 0 to 1.0; got nan"),
        ("stale_read_lag_ms = 2.5", "stale_read_lag_ms: must be a whole number from 0 to 60000; got 2.5"),
        ("partitions = 0", "partitions: must be a whole number from 1 to 1000; got 0"),
        ("provisioned_limits = 1", "provisioned_limits: must be true or false; got 1"),
        ('weather = "gale"', "weather: must be calm, typical, storm; got 'gale'"),
        ("tables = 1", "tables: must be a table of TOML; got 1"),
        ("[tables]\norders = 1", "tables.orders: must be a table of TOML; got 1"),
        ("[tables.orders]\nburst_s = -1", "tables.orders.burst_s: must be a whole number from 0 to 3600; got -1"),
        ("[tables.orders]\nseed = 1", "tables.orders.seed: must be a setting of the weather; got seed"),
        ("seed = -1", "seed: must be a whole number from 0 to 9223372036854775807; got -1"),
    ],
)
def test_a_fault_of_a_file_is_named(text: str, message: str) -> None:
    with pytest.raises(WeatherError) as raised:
        read_weather(tomllib.loads(text))
    assert str(raised.value) == message


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    for name, message in (
        ("gale", "gale: must be calm, typical, storm, or a file whose name ends with .toml"),
        (str(tmp_path / "absent.toml"), f"{tmp_path}/absent.toml: No such file or directory"),
    ):
        with pytest.raises(WeatherError) as raised:
            named_weather(name)
        assert str(raised.value) == message
    bad = tmp_path / "bad.toml"
    bad.write_text("seed = ")
    with pytest.raises(WeatherError, match=f"{bad}: must be TOML in UTF-8; got Invalid value"):
        named_weather(str(bad))
    bad.write_text("gale_share = 1")
    with pytest.raises(WeatherError, match=f"{bad}: gale_share: must be a setting of the weather"):
        named_weather(str(bad))


def test_the_page_has_every_setting_with_the_values_of_the_presets() -> None:
    for one in dataclasses.fields(TableWeather):
        values = [getattr(PRESETS[name], one.name) for name in ("calm", "typical", "storm")]
        shown = " | ".join(str(value).lower() if isinstance(value, bool) else f"{value:g}" for value in values)
        assert f"| `{one.name}` | {shown} |" in PAGE
