"""Settings: flags win over variables, variables over the file, and every mistake is named."""

from pathlib import Path

import pytest

from bursar.settings import SETTINGS, SettingError, Settings, list_of, load_settings
from tools.pages.settings_page import page

DOCS = Path(__file__).parent.parent / "docs" / "settings.md"


def test_defaults_put_store_and_lake_into_the_data_folder(tmp_path: Path) -> None:
    settings = load_settings({"data": "here"}, {}, tmp_path)
    assert settings.store_url == "file:here/bursar.db"
    assert settings.lake_url == "file:here/lake"


def test_flags_win_over_variables_and_variables_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "bursar.toml").write_text('port = 1001\nhost = "127.0.0.3"\nsweep_interval_s = 2.5\n')
    settings = load_settings(
        {"port": 1003, "host": None},
        {"BURSAR_PORT": "1002", "BURSAR_HOST": "127.0.0.2", "PATH": "/bin"},
        tmp_path,
    )
    assert (settings.port, settings.host, settings.sweep_interval_s) == (1003, "127.0.0.2", 2.5)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"BURSAR_PORT": "65536"},
            "BURSAR_PORT: must be a TCP port, 0 to 65535 (0: any free one); got '65536'",
        ),
        ({"BURSAR_PORT": "web"}, "BURSAR_PORT: must be a whole number; got 'web'"),
        ({"BURSAR_WORKERS": "0"}, "BURSAR_WORKERS: must be a whole number of 1 or more; got '0'"),
        ({"BURSAR_PROT": "80"}, "BURSAR_PROT: there is no setting 'prot'; did you mean port?"),
        ({"BURSAR_AUTH": "off"}, "BURSAR_AUTH: must be one of sigv4, none; got 'off'"),
        (
            {"BURSAR_DEVELOPMENT_CLIENT": "yes"},
            "BURSAR_DEVELOPMENT_CLIENT: must be true or false; got 'yes'",
        ),
        ({"BURSAR_STORE": "/data/x"}, "BURSAR_STORE: must be file:PATH, dynamodb:?region=NAME"),
        ({"BURSAR_LAKE": "gs://x"}, "BURSAR_LAKE: must be file:FOLDER or s3://BUCKET/PREFIX"),
        ({"BURSAR_PAYGOV_URL": "ftp://x"}, "BURSAR_PAYGOV_URL: must be an absolute http or https URL"),
        ({"BURSAR_PAYGOV_URL": "http://x:65536/"}, "BURSAR_PAYGOV_URL: Port out of range 0-65535"),
        ({"BURSAR_PAYGOV_TIMEOUT_S": "nan"}, "BURSAR_PAYGOV_TIMEOUT_S: must be a number of seconds above 0"),
        (
            {"BURSAR_PAYGOV_TIMEOUT_S": "soon"},
            "BURSAR_PAYGOV_TIMEOUT_S: must be a number of seconds; got 'soon'",
        ),
        ({"BURSAR_TABLE": " "}, "BURSAR_TABLE: must be a text that is not empty"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_its_source(
    environ: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingError) as refusal:
        load_settings({}, environ, tmp_path)
    assert str(refusal.value).startswith(message)


def test_a_switch_is_true_or_false_in_a_variable_and_in_the_file(tmp_path: Path) -> None:
    assert not load_settings({}, {}, tmp_path).accepts_development_client
    assert load_settings({}, {"BURSAR_DEVELOPMENT_CLIENT": "true"}, tmp_path).accepts_development_client
    (tmp_path / "bursar.toml").write_text("development_client = true\n")
    assert load_settings({}, {}, tmp_path).accepts_development_client
    assert not load_settings({}, {"BURSAR_DEVELOPMENT_CLIENT": "false"}, tmp_path).accepts_development_client
    assert not load_settings({"clients": "clients.toml"}, {}, tmp_path).accepts_development_client


def test_a_mistake_in_the_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "bursar.toml").write_text("port = \n")
    with pytest.raises(SettingError, match=r"bursar\.toml is not TOML"):
        load_settings({}, {}, tmp_path)
    (tmp_path / "bursar.toml").write_text("porte = 1\n")
    with pytest.raises(SettingError, match=r"porte in .*bursar\.toml: there is no setting"):
        load_settings({}, {}, tmp_path)
    (tmp_path / "bursar.toml").write_bytes(b"\xff")
    with pytest.raises(SettingError, match=r"bursar\.toml is not TOML"):
        load_settings({}, {}, tmp_path)
    (tmp_path / "bursar.toml").unlink()
    (tmp_path / "bursar.toml").mkdir()
    with pytest.raises(SettingError, match=r"bursar\.toml cannot be read"):
        load_settings({}, {}, tmp_path)


def test_each_default_is_a_value_that_the_setting_itself_takes() -> None:
    for name, each in SETTINGS.items():
        if each.default is not None:
            assert each.metadata["parse"](each.default) == getattr(Settings(), name)


def test_the_documented_settings_are_those_of_the_code() -> None:
    assert page() == DOCS.read_text(encoding="utf-8").rstrip("\n")


def test_origins_are_as_a_browser_sends_them(tmp_path: Path) -> None:
    text = "https://dashboard.example,http://localhost:5173,http://[::1]:5173"
    settings = load_settings({}, {"BURSAR_CORS_ORIGINS": text}, tmp_path)
    assert settings.browser_origins == tuple(text.split(","))
    assert Settings().browser_origins == ()


@pytest.mark.parametrize(
    "wrong",
    [
        *("*", "null", "dashboard.example", "https://dashboard.example/", "https://Dashboard.example", "ftp://x"),
        *(
            "https://u@dashboard.example",
            "https://dashboard.example:443",
            "http://x:80",
            "https://x,",
            "https://x, http://y",
        ),
        *("https://", "https://x?y", "https://x:65536"),
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="BURSAR_CORS_ORIGINS"):
        load_settings({}, {"BURSAR_CORS_ORIGINS": wrong}, tmp_path)


def test_lookups_are_a_list_or_none(tmp_path: Path) -> None:
    found = load_settings(
        {}, {"BURSAR_PAYGOV_LOOKUPS": " query , details", "BURSAR_PAYGOV_LOOKUPS_CONFIRMED": "none"}, tmp_path
    )
    assert (list_of(found.paygov_lookups), list_of(found.paygov_lookups_confirmed)) == (("query", "details"), ())


@pytest.mark.parametrize("wrong", ["guess", "query,query", "none,query", ""])
def test_lookups_that_do_not_exist_are_refused(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="BURSAR_PAYGOV_LOOKUPS: must be"):
        load_settings({}, {"BURSAR_PAYGOV_LOOKUPS": wrong}, tmp_path)
