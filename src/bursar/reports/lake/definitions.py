"""The lake's tables as they are now, as definitions for other catalogs: Glue's TableInput, and Trino's procedure.

A definition names the table's present metadata file, so it shows the lake as of its last commit. A catalog that the
writer does not update needs the new definitions after each commit. Athena's DDL has no time with a zone, so Athena's
tables are defined in Glue. Source: Glue API reference, "CreateTable"; Trino's Iceberg connector, "register_table".
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bursar.reports.errors import LakeBroken
from bursar.reports.lake.lake import NAMESPACE, Lake
from bursar.reports.lake.schema import MONEY_DECIMALS, MONEY_DIGITS, TABLES, ColumnType, TableSchema

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

_GLUE_TYPES: Final[dict[ColumnType, str]] = {
    "text": "string",
    "money": f"decimal({MONEY_DIGITS},{MONEY_DECIMALS})",
    "time": "timestamp",
    "day": "date",
    "whole": "bigint",
    "boolean": "boolean",
}


@dataclass(frozen=True, slots=True)
class LakeTableDefinition:
    """One table: its location, its present metadata file, and the ids of its columns."""

    schema: TableSchema
    location: str
    metadata_location: str
    field_ids: dict[str, int]

    def for_glue(self) -> dict[str, Any]:
        """Return the arguments of Glue's ``CreateTable`` and ``UpdateTable``."""
        columns = [
            {
                "Name": column.name,
                "Type": _GLUE_TYPES[column.type],
                "Comment": column.meaning,
                "Parameters": {
                    "iceberg.field.id": str(self.field_ids[column.name]),
                    "iceberg.field.optional": str(not column.required).lower(),
                    "iceberg.field.current": "true",
                },
            }
            for column in self.schema.columns
        ]
        table = {
            "Name": self.schema.name,
            "Description": self.schema.meaning,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"table_type": "ICEBERG", "metadata_location": self.metadata_location},
            "StorageDescriptor": {"Columns": columns, "Location": self.location},
            "PartitionKeys": [],
        }
        return {"DatabaseName": NAMESPACE, "TableInput": table}

    def for_trino(self) -> str:
        """Return the statement that registers the table in the current catalog of Trino."""
        file = self.metadata_location.rpartition("/")[2]
        return (
            f"CALL system.register_table(schema_name => '{NAMESPACE}', table_name => '{self.schema.name}', "
            f"table_location => '{self.location}', metadata_file_name => '{file}')"
        )


def definitions(lake: Lake) -> list[LakeTableDefinition]:
    """Return the definition of each table. Raise :class:`LakeBroken` if the lake was not written yet or is older."""
    from pyiceberg.exceptions import NoSuchTableError

    if not lake.exists:
        raise _not_written(lake)
    with lake.catalog() as catalog:
        try:
            return list(_defined(lake, catalog))
        except NoSuchTableError:
            raise _not_written(lake) from None


def _defined(lake: Lake, catalog: "Catalog") -> Iterator[LakeTableDefinition]:
    for schema in TABLES:
        table = catalog.load_table((NAMESPACE, schema.name))
        ids = {field.name: field.field_id for field in table.schema().fields}
        if not ids.keys() >= set(schema.column_names):
            raise _not_written(lake)
        yield LakeTableDefinition(schema, table.location(), table.metadata_location, ids)


def _not_written(lake: Lake) -> LakeBroken:
    return LakeBroken(f"the lake at {lake.warehouse} does not have every table and column yet: run bursar lake write")


def glue_text(found: list[LakeTableDefinition]) -> str:
    """Return the arguments of ``CreateTable`` for each table, one JSON object a line."""
    return "\n".join(json.dumps(each.for_glue()) for each in found)


def trino_text(found: list[LakeTableDefinition]) -> str:
    """Return the statements that register the tables in Trino, each with its semicolon."""
    return "\n".join([f"CREATE SCHEMA IF NOT EXISTS {NAMESPACE};", *(f"{each.for_trino()};" for each in found)])
