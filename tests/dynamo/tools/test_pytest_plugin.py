"""The pytest plugin and the test doubles, by running the examples of docs/testing-with-bursar.md."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "testing-with-bursar.md").read_text(encoding="utf-8")
TABLE = {
    "TableName": "orders",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
    "DeletionProtectionEnabled": True,
}
PLUGIN = "bursar.dynamo.tools.pytest_plugin"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the examples of the page and the files that they name."""
    for name, text in re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, flags=re.DOTALL):
        (tmp_path / name).write_text(text)
    (tmp_path / "tables.json").write_text(json.dumps(TABLE))
    (tmp_path / "orders.csv").write_text("id,total\n1,60\n2,70\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT / "src")}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def pytest_run(folder: Path, *options: str) -> str:
    done = run(folder, "-m", "pytest", "-q", "-p", PLUGIN, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("options", [(), ("-p", "xdist.plugin", "-n", "2")])
def test_the_examples_pass_alone_and_in_parallel(folder: Path, options: tuple[str, ...]) -> None:
    assert "4 passed" in pytest_run(folder, *options)


def test_the_plain_example_runs(folder: Path) -> None:
    done = run(folder, "plain.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("http://127.0.0.1:")


def test_tests_share_no_tables_and_begin_with_their_files(folder: Path) -> None:
    for path in folder.glob("*.py"):
        path.unlink()
    (folder / "pytest.ini").write_text("[pytest]\ndynamodb_seed = tables.json\n")
    (folder / "test_seeds.py").write_text(
        """
import os, pytest

pytestmark = pytest.mark.dynamodb_seed("orders.csv")

def items(dynamodb):
    return dynamodb.execute("Scan", {"TableName": "orders"})["Count"]

@pytest.mark.parametrize("number", range(3))
def test_in_process(dynamodb, number):
    assert items(dynamodb) == 2
    dynamodb.execute("PutItem", {"TableName": "orders", "Item": {"id": {"S": "3"}}})

@pytest.mark.parametrize("number", range(3))
def test_server(dynamodb_server, _dynamodb_process, number):
    assert os.environ["AWS_ENDPOINT_URL_DYNAMODB"] == dynamodb_server
    assert items(_dynamodb_process) == 2
    _dynamodb_process.execute("PutItem", {"TableName": "orders", "Item": {"id": {"S": "3"}}})

def test_the_environment_is_as_before():
    assert "AWS_ENDPOINT_URL_DYNAMODB" not in os.environ

def test_streams(dynamodb):
    assert dynamodb.streams.list_streams()["Streams"] == []
"""
    )
    assert "8 passed" in pytest_run(folder)


def test_a_bad_file_fails_the_test_that_names_it(folder: Path) -> None:
    (folder / "test_bad.py").write_text(
        "import pytest\n@pytest.mark.dynamodb_seed('absent.csv')\ndef test_bad(dynamodb): pass\n"
    )
    failed = run(folder, "-m", "pytest", "-q", "-p", PLUGIN, "test_bad.py")
    assert failed.returncode == 1
    assert "SeedError" in failed.stdout
    assert "absent.csv: No such file" in failed.stdout


def test_the_plugin_is_an_entry_point_and_loads_no_engine() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"bursar": PLUGIN}
    code = f"import {PLUGIN}, sys; assert not [m for m in sys.modules if 'apsw' in m or 'bursar.dynamo.engine' in m]"
    assert run(ROOT, "-c", code).returncode == 0


def test_the_weather_is_chosen_by_option_marker_or_setting_and_reported_with_a_failure(folder: Path) -> None:
    for path in folder.glob("*.py"):
        path.unlink()
    (folder / "pytest.ini").write_text(
        "[pytest]\ndynamodb_seed = tables.json orders.csv\ndynamodb_weather = typical\ndynamodb_region = eu-west-1\n"
    )
    (folder / "test_weather.py").write_text(
        """
import pytest

def weather(dynamodb):
    weather = dynamodb.engine.conditions.weather
    return weather.name, weather.seed

def test_setting(dynamodb):
    assert weather(dynamodb) == ("typical", 0)
    assert dynamodb.engine.region == dynamodb.client.meta.region_name == "eu-west-1"

@pytest.mark.dynamodb_weather("calm")
def test_calm(dynamodb):
    assert dynamodb.weather_report == ""
    assert dynamodb.engine.region == "eu-west-1"

@pytest.mark.dynamodb_weather("storm", seed=3)
def test_marker(dynamodb):
    with dynamodb.calm():
        assert dynamodb.client.scan(TableName="orders")["Count"] == 2
    assert dynamodb.happened == {}
    for number in range(20):
        dynamodb.client.put_item(TableName="orders", Item={"id": {"S": "1"}})
    assert weather(dynamodb) == ("none", 0)
"""
    )
    arguments = ("-m", "pytest", "-q", "-p", PLUGIN)
    done = run(folder, *arguments)
    assert "1 failed, 2 passed" in done.stdout
    assert "weather storm, seed 3: orders: " in done.stdout
    done = run(folder, *arguments, "--dynamodb-weather", "storm", "--dynamodb-weather-seed", "9", "-k", "setting")
    assert "('storm', 9) == ('typical', 0)" in done.stdout
