"""The engine alone stays small: what ``pip install bursar`` installs, without extras."""

from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
INSTALLED_MB_MAX = 50
"""In millions of bytes, without Python's bytecode. It was 37 in November 2026."""


def base_distributions(name: str) -> set[str]:
    """Return a distribution and those that it needs without extras, in turn."""
    found, waiting = set(), [name]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        needed = [Requirement(text) for text in distribution(one).requires or ()]
        waiting += [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


def installed_bytes(name: str) -> int:
    if name == "bursar":  # installed from its folder here
        files = [path for path in (ROOT / "src" / "bursar").rglob("*") if path.is_file()]
    else:
        files = [Path(str(distribution(name).locate_file(file))) for file in distribution(name).files or ()]
    return sum(path.stat().st_size for path in files if "__pycache__" not in path.parts)


def test_the_engine_alone_is_small() -> None:
    sizes_mb = {name: installed_bytes(name) / 1e6 for name in base_distributions("bursar")}
    assert sizes_mb.keys() >= {"bursar", "apsw", "orjson", "rich", "pygments"}
    assert 20 < sum(sizes_mb.values()) <= INSTALLED_MB_MAX, sizes_mb
