"""The paths of the lake's data files on this machine: in place for a folder, downloaded for S3.

Data files never change and their names are never used again, so a downloaded file stays valid. Files that the current
state no longer names are deleted.
"""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from bursar.reports.lake.lake import Lake
from bursar.reports.lake.lake_state import LakeState
from bursar.reports.lake.rows import TableRow, plain_rows
from bursar.reports.lake.schema import PAYMENTS

if TYPE_CHECKING:
    import pyarrow as pa

_CHUNK_BYTES: Final = 1 << 20


class LocalFiles:
    """A folder of downloaded files. It is created on first use and removed by :meth:`close`."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._folder: Path | None = None

    def paths(self, state: LakeState) -> dict[str, str]:
        """Return each data file of ``state`` → its local path. It blocks. Raises ``OSError`` if S3 cannot be read."""
        files = [name for table in state.values() for name in (*table.files, *table.live_files)]
        if self._lake.folder is not None:
            return {name: name.removeprefix("file://") for name in files}
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="bursar-lake-"))
        paths = {name: self._folder / quote(name, safe="")[-200:] for name in files}
        self._fetch({name: path for name, path in paths.items() if not path.exists()})
        for path in set(self._folder.iterdir()) - set(paths.values()):
            path.unlink()
        return {name: str(path) for name, path in paths.items()}

    def live_rows(self, state: LakeState) -> Iterable[TableRow]:
        """Return the rows of the live partition. It blocks. Raises ``OSError`` if a file cannot be read."""
        paths = self.paths(state)
        files = state[PAYMENTS.name].live_files
        return [row for file in files for row in plain_rows(PAYMENTS, _rows(paths[file]))]

    def _fetch(self, missing: dict[str, Path]) -> None:
        if not missing:
            return
        with self._lake.catalog() as catalog:
            tables = self._lake.tables(catalog)
            io = next(iter(tables.values())).io
            for name, path in missing.items():
                part = path.with_suffix(".part")
                with io.new_input(name).open() as source, part.open("wb") as target:
                    shutil.copyfileobj(source, target, _CHUNK_BYTES)
                part.rename(path)  # a file under its final name is complete

    def close(self) -> None:
        """Remove the folder."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _rows(path: str) -> "pa.Table":
    import pyarrow.parquet as pq

    from bursar.reports.lake.iceberg import in_schema

    return in_schema(PAYMENTS, pq.ParquetFile(path).read())
