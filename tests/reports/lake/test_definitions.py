"""The lake's tables as definitions for Glue and Trino. tests/cloud applies them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bursar.reports.command_line.runs import LAKE_URL
from bursar.reports.commands import lake
from bursar.reports.lake.schema import PAYMENTS, TABLES
from bursar.reports.reports import Reports
from tests.support.reports.book import Book


def printed(folder: Path, *arguments: str) -> str:
    result = CliRunner().invoke(lake, ["ddl", *arguments], obj={LAKE_URL: lambda: f"file:{folder}"})
    assert result.exit_code == 0, result.output
    return result.output


async def test_the_definitions_name_the_present_metadata_of_each_table(
    book: Book, reports: Reports, tmp_path: Path
) -> None:
    folder = tmp_path / "lake"
    book.pay(5)
    book.now += 3600
    await reports.write_lake()
    found = {each["TableInput"]["Name"]: each for each in map(json.loads, printed(folder).splitlines())}
    assert list(found) == [schema.name for schema in TABLES]
    payments = found["payments"]["TableInput"]
    assert found["payments"]["DatabaseName"] == "bursar"
    assert [column["Name"] for column in payments["StorageDescriptor"]["Columns"]] == list(PAYMENTS.column_names)
    assert payments["StorageDescriptor"]["Location"] == f"file://{folder}/payments"
    before = payments["Parameters"]["metadata_location"]
    assert before.startswith(f"file://{folder}/payments/metadata/")
    trino = printed(folder, "--for", "trino")
    assert f"table_location => 'file://{folder}/payments', metadata_file_name => '{Path(before).name}');" in trino
    book.pay(5)
    book.now += 3600
    await reports.write_lake()
    assert before not in printed(folder)


def test_the_views_for_athena_need_no_lake(tmp_path: Path) -> None:
    views = printed(tmp_path, "--for", "athena")
    assert views.count("CREATE OR REPLACE VIEW ") == 2
    assert "CREATE OR REPLACE VIEW payment_postings AS\nWITH moved AS (" in views


@pytest.mark.parametrize("target", ["glue", "trino"])
def test_a_lake_that_was_not_written_is_one_line(tmp_path: Path, target: str) -> None:
    url = f"file:{tmp_path / 'none'}"
    result = CliRunner().invoke(lake, ["ddl", "--for", target], obj={LAKE_URL: lambda: url})
    assert result.exit_code == 1
    assert result.output.endswith("does not have every table and column yet: run bursar lake write\n")
    assert not (tmp_path / "none").exists()
