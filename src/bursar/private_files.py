"""Files that hold secrets or personal data: created for their owner alone, and refused if others may use them.

The mode of a file is read without opening the file. Closing any descriptor of a file would drop the process's POSIX
locks on it, and SQLite holds such locks.
"""

import os
import shlex
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

_creating = threading.Lock()


class TooOpen(Exception):
    """Users other than the owner may use a private file. The text is one line: the file, its mode and the remedy."""


def require_private(*paths: str | Path) -> None:
    """Raise :class:`TooOpen` if any of the files that exist may be used by its group or by everyone.

    Raises:
        OSError: the mode of a file cannot be read. A missing file is not an error.
    """
    modes = {}
    for path in paths:
        with suppress(FileNotFoundError):
            modes[path] = Path(path).stat().st_mode
    require_private_modes(modes)


def require_private_modes(modes: Mapping[str | Path, int]) -> None:
    """Raise :class:`TooOpen` if any of the modes, as ``stat`` reports them by path, lets others use the file."""
    wide = {str(path): f"{stat.S_IMODE(mode):03o}" for path, mode in modes.items() if mode & OTHERS}
    if wide:
        raise TooOpen(
            f"{', '.join(wide)}: must be usable by its owner alone; got mode {', '.join(wide.values())}. "
            f"Run: chmod 600 {' '.join(shlex.quote(path) for path in wide)}"
        )


def create_private(path: str | Path) -> bool:
    """Create an empty file of mode 600 under any umask, and return True; return False if the file exists.

    The file never has a wider mode. Raises ``OSError`` if it cannot be created.
    """
    # O_EXCL refuses every symbolic link, so a link to a file that does not exist yet is followed here.
    real = os.path.realpath(path)
    # Without this lock another thread could lock the new file before this descriptor is closed, and lose its lock.
    with _creating:
        try:
            created = os.open(real, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        except FileExistsError:
            return False
        try:
            os.fchmod(created, FILE_MODE)  # a umask may have taken rights from the owner
        finally:
            os.close(created)
    return True


@contextmanager
def replacing_private(path: Path) -> Iterator[BinaryIO]:
    """Open a new file of mode 600 for writing, which takes the name ``path`` when the ``with`` ends without an error.

    An error leaves the file at ``path`` as it was, and no other. Raises ``OSError`` if it cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE), "wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def make_private_folder(path: str | Path) -> None:
    """Create a folder of mode 700 under any umask, unless it exists. Missing parents get the usual mode.

    Raises ``OSError`` if it cannot be created, also when a file has its name.
    """
    folder = Path(path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(FOLDER_MODE)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    folder.chmod(FOLDER_MODE)  # a umask may have removed rights of the owner
