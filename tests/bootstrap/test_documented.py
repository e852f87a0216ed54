"""docs/api.md describes every endpoint of a running portal."""

import json
import urllib.request
from pathlib import Path

from tests.support.bootstrap.whole_system import running_up

API = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


def test_every_endpoint_is_documented(tmp_path: Path) -> None:
    with running_up(tmp_path / "data") as up, urllib.request.urlopen(f"{up.portal_url}/openapi.json") as reply:
        paths = json.load(reply)["paths"]
    assert len(paths) > 5
    undocumented = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    assert [each for each in undocumented if each not in API] == []
