"""The files of the reports process for given settings: its socket, and the record of the lake's upkeep."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from bursar.dynamo.clients.store import MEMORY, file_of
from bursar.settings import Settings

SOCKET_PATH_BYTES_MAX: Final = 100
"""The longest address of a Unix socket on every system: Linux allows 107 bytes, macOS 103."""


def has_reports_process(settings: Settings) -> bool:
    """Return whether another process can read the store, which it cannot if the store is in memory."""
    return file_of(settings.store_url) != MEMORY


def reports_socket(settings: Settings) -> Path:
    """Return the path of the socket for these settings: in the data folder, one per store, table and lake."""
    name = f"reports-{_served(settings)}.sock"
    path = Path(settings.data).absolute() / name
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        return path
    return Path(tempfile.gettempdir()) / f"bursar-{os.getuid()}" / name


def upkeep_path(settings: Settings) -> Path:
    """Return the path of the record of the lake's upkeep (:mod:`bursar.reports.lake.upkeep`): in the data folder."""
    return Path(settings.data).absolute() / f"lake-upkeep-{_served(settings)}.json"


def _served(settings: Settings) -> str:
    """Return a name for one store, table and lake."""
    served = "\n".join((str(Path(settings.data).absolute()), settings.store_url, settings.table, settings.lake_url))
    return hashlib.sha256(served.encode()).hexdigest()[:12]
