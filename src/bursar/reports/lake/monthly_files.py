"""Write rows to the data files of a table, one file for each month of the partition day.

pyiceberg's own splitting computes the months in pyiceberg-core, a library of 39 MB. Arrow computes the same.
"""

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table, WriteTask


def written_files(table: "Table", rows: "pa.Table") -> "Iterator[DataFile]":
    """Write ``rows`` and return the new data files, which no snapshot has yet."""
    from pyiceberg.io.pyarrow import write_file

    return write_file(io=table.io, table_metadata=table.metadata, tasks=_tasks(table, rows))


def months_since_1970(days: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Return the month of each day, counted from 1970-01 as Iceberg does; the month of null is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    years = pc.multiply(pc.subtract(pc.year(days), 1970), 12)
    return pc.cast(pc.add(years, pc.subtract(pc.month(days), 1)), pa.int32())


def _tasks(table: "Table", rows: "pa.Table") -> "Iterator[WriteTask]":
    from pyiceberg.io.pyarrow import bin_pack_arrow_table, pyarrow_to_schema
    from pyiceberg.table import TableProperties, WriteTask

    numbers, written_as = count(), pyarrow_to_schema(rows.schema, name_mapping=table.schema().name_mapping)
    uuid = uuid4()
    (field,) = table.spec().fields
    for month, of_month in by_month(rows, table.schema().find_column_name(field.source_id) or ""):
        for batches in bin_pack_arrow_table(of_month, TableProperties.WRITE_TARGET_FILE_SIZE_BYTES_DEFAULT):
            yield WriteTask(
                write_uuid=uuid,
                task_id=next(numbers),
                schema=written_as,
                record_batches=batches,
                partition_key=_partition_key(table, month),
            )


def by_month(rows: "pa.Table", day: str) -> "Iterator[tuple[int | None, pa.Table]]":
    """Yield each month of the column ``day`` with its rows; the month None has the rows without a day."""
    import pyarrow.compute as pc

    months = months_since_1970(rows[day])
    for month in pc.unique(months).to_pylist():
        chosen = pc.is_null(months) if month is None else pc.equal(months, month)
        yield month, rows.filter(chosen).combine_chunks()


def _partition_key(table: "Table", month: int | None) -> Any:
    from pyiceberg.partitioning import PartitionFieldValue, PartitionKey

    spec = table.spec()
    value = PartitionFieldValue(field=spec.fields[0], value=month)
    return PartitionKey(field_values=[value], partition_spec=spec, schema=table.schema())
