"""Private files: created with mode 600 with any umask, and refused when others may use them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bursar.private_files import TooOpen, create_private, make_private_folder, replacing_private, require_private


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.usefixtures("umask")
def test_a_file_is_created_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    assert create_private(tmp_path / "secrets")
    assert mode_of(tmp_path / "secrets") == 0o600


def test_a_file_never_has_a_wider_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the mode that the creating call itself sets: a later call could only confirm it."""
    before = os.umask(0)
    monkeypatch.setattr(os, "fchmod", lambda *_: None)
    try:
        create_private(tmp_path / "secrets")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "secrets") == 0o600


def test_a_file_is_replaced_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "secrets"
    path.write_text("old")

    def write_half() -> None:
        with replacing_private(path) as file:
            file.write(b"new")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        write_half()
    assert ([each.name for each in tmp_path.iterdir()], path.read_text()) == (["secrets"], "old")
    with replacing_private(path) as file:
        file.write(b"new")
    assert ([each.name for each in tmp_path.iterdir()], path.read_text()) == (["secrets"], "new")
    assert mode_of(path) == 0o600


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text("kept")
    file.chmod(0o644)
    assert not create_private(file)
    assert (mode_of(file), file.read_text()) == (0o644, "kept")


def test_a_link_to_a_missing_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert create_private(tmp_path / "link")
    assert mode_of(tmp_path / "elsewhere") == 0o600


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        create_private(tmp_path / "missing" / "secrets")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owner_alone_is_accepted(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "secrets"
    file.touch(mode)
    require_private(file, tmp_path / "missing")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o602, 0o610, 0o666])
def test_a_file_that_others_may_use_is_refused_with_its_mode_and_the_remedy(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "my secrets"
    file.touch()
    file.chmod(mode)
    with pytest.raises(TooOpen) as refused:
        require_private(file)
    assert (
        str(refused.value) == f"{file}: must be usable by its owner alone; got mode {mode:o}. Run: chmod 600 '{file}'"
    )


def test_every_file_that_others_may_use_is_named_at_once(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b", "c")]
    for file, mode in zip(files, (0o644, 0o600, 0o640), strict=True):
        file.touch()
        file.chmod(mode)
    with pytest.raises(TooOpen) as refused:
        require_private(*files)
    assert str(refused.value) == (
        f"{files[0]}, {files[2]}: must be usable by its owner alone; got mode 644, 640. "
        f"Run: chmod 600 {files[0]} {files[2]}"
    )


@pytest.mark.usefixtures("umask")
def test_a_folder_is_created_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "data")
    assert mode_of(tmp_path / "data") == 0o700
    make_private_folder(tmp_path / "data")


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    make_private_folder(tmp_path / "data")
    assert mode_of(tmp_path / "data") == 0o755


def test_a_file_in_the_way_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    for path in (tmp_path / "data", tmp_path / "data" / "below"):
        with pytest.raises(FileExistsError):
            make_private_folder(path)
