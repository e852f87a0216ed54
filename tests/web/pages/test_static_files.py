"""Static files of several folders are one set, whose version changes with any of them."""

from pathlib import Path

from bursar.web.pages.static_files import SHARED, StaticFiles


def test_a_room_has_the_shared_files_and_its_own(tmp_path: Path) -> None:
    (tmp_path / "own.css").write_text("p { color: red; }")
    files = StaticFiles((SHARED, tmp_path))
    assert {"own.css", "pages.css", "uswds/css/uswds.css", "htmx/htmx.min.js"} <= files.files.keys()
    found = files.response("own.css", files.version, "gzip")
    assert found is not None
    assert "immutable" in found.headers["cache-control"]
    assert files.response("absent.css", files.version, "") is None
    (tmp_path / "own.css").write_text("p { color: blue; }")
    assert StaticFiles((SHARED, tmp_path)).version != files.version


def test_an_old_version_is_not_kept(tmp_path: Path) -> None:
    files = StaticFiles((SHARED,))
    found = files.response("pages.css", "older", "")
    assert found is not None
    assert found.headers["cache-control"] == "no-cache"
