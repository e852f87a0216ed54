"""Build the zips of the Lambda functions from uv.lock: the same bytes from the same commit, on every machine.

    portal.zip      portal and sweep: no SQL, no engine       dashboard.zip   the lake and DuckDB
    lake.zip        the lake's writer: no SQL engine

Each zip has the wheels of its libraries for Lambda's platform, src/bursar, and their byte code. Lambda cannot write
byte code beside the sources, so without it every cold start compiles every module again. boto3 is Lambda's own.
"""

import argparse
import compileall
import py_compile
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
PYTHON: Final = "3.13"
PLATFORM: Final = "aarch64-manylinux_2_28"
MIB: Final = 1024 * 1024
UNZIPPED_BYTES_MAX: Final = 250 * MIB
"""Lambda's quota of a function with its layers."""
_PORTAL_LIBRARIES: Final = ("httptools", "orjson", "tzdata", "jsonschema-rs")
_LAKE_LIBRARIES: Final = (*_PORTAL_LIBRARIES, "pyarrow", "pyiceberg")
_LEFT_OUT: Final = frozenset({"click", "rich", "boto3", "botocore", "s3transfer", "sqlalchemy"})
"""Libraries that no function loads: pyiceberg's command line, Lambda's own boto3, the catalog in SQL."""
_PRUNED: Final = (
    "**/__pycache__",
    "**/tests",
    "**/*.pyi",
    "**/*.pyx",
    "**/*.pxd",
    "**/*.pxi",
    "bin",
    "pyarrow/include",
    "pyarrow/src",
    "pyarrow/libarrow_flight*",
    "pyarrow/libarrow_python_flight*",
    "pyarrow/_flight*",
    "pyarrow/libgandiva*",
    "pyarrow/gandiva*",
    "zstandard/_cffi*",
    "*.dist-info/sboms",
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
    "*.dist-info/uv_cache.json",
)
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """One zip: the libraries that it is for, and the most bytes that it may have."""

    libraries: tuple[str, ...]
    zipped_bytes_max: int


PACKAGES: Final[Mapping[str, Package]] = {
    "portal": Package(_PORTAL_LIBRARIES, 15 * MIB),
    "lake": Package(_LAKE_LIBRARIES, 75 * MIB),
    "dashboard": Package((*_LAKE_LIBRARIES, "duckdb"), 110 * MIB),
}


def main() -> None:
    """Build the packages that the command line names, by default all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*PACKAGES, []], help="the packages; default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--platform", default=PLATFORM, help="the platform of the wheels, as uv names it")
    arguments = parser.parse_args()
    if sys.version_info[:2] != tuple(map(int, PYTHON.split("."))):
        sys.exit(f"The byte code must be Python {PYTHON}'s, which Lambda runs; this is {sys.version.split()[0]}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or PACKAGES:
        path = arguments.out / f"{name}.zip"
        unzipped = build(PACKAGES[name], path, arguments.platform)
        print(f"{path}: {path.stat().st_size / MIB:.1f} MiB, unzipped {unzipped / MIB:.1f} MiB")


def build(package: Package, path: Path, platform: str) -> int:
    """Write the zip of ``package`` to ``path`` and return the bytes of its files. Exit if it is too large."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "task"
        _install(folder, package.libraries, platform)
        shutil.copytree(ROOT / "src" / "bursar", folder / "bursar", ignore=shutil.ignore_patterns("__pycache__"))
        _prune(folder)
        compileall.compile_dir(
            folder,
            quiet=1,
            stripdir=str(folder),
            prependdir="/var/task",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for file in files:
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _LONG_AGO)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes())
        unzipped = sum(file.stat().st_size for file in files)
    if platform != PLATFORM:  # for tests on this machine
        return unzipped
    for size, most in ((path.stat().st_size, package.zipped_bytes_max), (unzipped, UNZIPPED_BYTES_MAX)):
        if size > most:
            sys.exit(f"{path}: must have at most {most / MIB:.0f} MiB; got {size / MIB:.1f} MiB")
    return unzipped


def _install(folder: Path, libraries: tuple[str, ...], platform: str) -> None:
    """Install the locked versions of ``libraries`` and of all that they need, from wheels."""
    lines = [f"{name}=={version}" for name, version in locked_versions(libraries)]
    options = ["--no-deps", "--only-binary", ":all:", "--python-version", PYTHON, "--python-platform", platform]
    command = [str(ROOT / ".tools" / "bin" / "uv"), "pip", "install", "--quiet", *options, "--target", str(folder)]
    subprocess.run([*command, *lines], check=True)


def locked_versions(libraries: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return (name, version) of ``libraries`` and of all that they need, as uv.lock has them."""
    with (ROOT / "uv.lock").open("rb") as file:
        locked = {each["name"]: each for each in tomllib.load(file)["package"]}
    found: dict[str, str] = {}
    waiting = list(libraries)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in _LEFT_OUT:
            found[name] = locked[name]["version"]
            waiting += _needed(locked[name])
    return sorted(found.items())


def _needed(package: Mapping[str, Any]) -> Iterator[str]:
    for dependency in package.get("dependencies", []):
        if not any(word in dependency.get("marker", "") for word in ("win32", "Windows", "python_full_version < ")):
            yield dependency["name"]


def _prune(folder: Path) -> None:
    for pattern in _PRUNED:
        for path in list(folder.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
