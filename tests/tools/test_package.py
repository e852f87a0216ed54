"""The packages of the Lambda functions have the libraries that the functions load, and no others."""

import tomllib
from pathlib import Path

import pytest

from tools.package import PACKAGES, locked_versions

ROOT = Path(__file__).parents[2]
FAT = {
    "apsw",
    "boto3",
    "botocore",
    "click",
    "prometheus-client",
    "rich",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "uvloop",
}


def libraries(name: str) -> set[str]:
    return {library for library, _ in locked_versions(PACKAGES[name].libraries)}


def test_the_portal_has_four_libraries_and_no_others() -> None:
    assert libraries("portal") == {"httptools", "orjson", "tzdata", "jsonschema-rs"}


@pytest.mark.parametrize("name", PACKAGES)
def test_no_package_has_what_its_functions_do_not_load(name: str) -> None:
    assert libraries(name) & FAT == set()
    assert ("duckdb" in libraries(name)) == (name == "dashboard")


def test_the_versions_are_those_of_the_lock() -> None:
    with (ROOT / "uv.lock").open("rb") as file:
        locked = {each["name"]: each.get("version") for each in tomllib.load(file)["package"]}
    assert dict(locked_versions(PACKAGES["lake"].libraries)).items() <= locked.items()
