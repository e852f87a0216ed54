"""Make tables and put items from files of several kinds, by their names and contents.

    *.jsonl, *.ndjson    a dump: {"CreateTable": …} and {"Item": …} lines (see dump_and_load)
    *.csv                items of the table that the file is named after; the table must exist, and its key attributes
                         have their types, while all others are strings
    *.json               a template of CloudFormation or SAM, a model of NoSQL Workbench, or CreateTable requests
    *.yaml, *.template   a template of CloudFormation or SAM (needs PyYAML)

Each may be compressed by gzip (*.gz).
"""

import csv
import io
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.regions import DEFAULT_REGION
from bursar.dynamo.tools.dump_and_load import (
    BATCH_ITEMS_MAX,
    DumpError,
    Execute,
    Progress,
    describe,
    is_packed,
    lines_of,
    load,
    put_items,
    table_names,
    unpacked,
)
from bursar.dynamo.tools.table_models import DescribedTable, template_tables, workbench_tables
from bursar.dynamo.tools.template_functions import ModelError

DUMPS = (".jsonl", ".ndjson")
TEMPLATES = (".yaml", ".yml", ".template")
FILE_BYTES_MAX = 64 * 1024 * 1024
"""The largest template or model; dumps and CSV are read line by line, and have no such bound."""


class SeedError(ValueError):
    """A file cannot be used; the message is one line that begins with its name."""


def seed(
    execute: Execute,
    paths: Sequence[Path],
    *,
    keep: bool = False,
    progress: Progress = lambda _items: None,
    put_rules: Callable[[str, str], None] | None = None,
    region: str = DEFAULT_REGION,
) -> dict[str, int]:
    """Make the tables of files that do not exist, and put their items; return the number of items of each.

    With ``keep``, a table that existed before is not changed, and its items in the files are ignored, so the same files
    may be given at every start. ``put_rules`` gives a table its rules, where the store keeps any; ``region`` is that of
    a template. Raises :class:`SeedError`; the tables that this call has made are deleted.
    """
    kept = set(table_names(execute)) if keep else set()
    counts: dict[str, int] = {}
    made: list[str] = []

    def noting(operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        response = execute(operation, request)
        if operation == "CreateTable":
            made.append(request["TableName"])
        return response

    for path in paths:
        try:
            with path.open("rb") as file:
                for table, items in _seed_file(noting, path, file, kept, progress, put_rules, region):
                    counts[table] = counts.get(table, 0) + items
        except (OSError, EOFError, zlib.error) as error:
            _delete(execute, made)
            raise SeedError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
        except (DumpError, ModelError, DynamoError, ValueError) as error:
            _delete(execute, made)
            raise SeedError(f"{path}: {error}") from None
    return counts


def _delete(execute: Execute, tables: list[str]) -> None:
    for table in tables:
        with suppress(DynamoError):
            execute("UpdateTable", {"TableName": table, "DeletionProtectionEnabled": False})
        with suppress(DynamoError):
            execute("DeleteTable", {"TableName": table})


def _seed_file(
    execute: Execute,
    path: Path,
    file: io.BufferedReader,
    kept: set[str],
    progress: Progress,
    put_rules: Callable[[str, str], None] | None,
    region: str,
) -> Iterator[tuple[str, int]]:
    name = path.with_suffix("") if path.suffix == ".gz" else path
    if name.suffix in DUMPS:
        yield from load(execute, lines_of(file), progress, add=True, skip=kept, put_rules=put_rules).items()
    elif name.suffix == ".csv":
        if name.stem not in kept:
            yield name.stem, _put_all(execute, name.stem, _csv_items(execute, name.stem, file), progress)
    elif name.suffix == ".json" or name.suffix in TEMPLATES:
        document = _document(name.suffix, unpacked(file).read(FILE_BYTES_MAX + 1))
        for table in _tables(document, region):
            if table.create["TableName"] not in kept:
                yield table.create["TableName"], _make(execute, table, progress)
    else:
        kinds = ", ".join((*DUMPS, ".csv", ".json", *TEMPLATES))
        raise SeedError(f"must end with {kinds}, or one of them and .gz")


def _document(suffix: str, content: bytes) -> Any:
    if len(content) > FILE_BYTES_MAX:
        raise SeedError(f"must have at most {FILE_BYTES_MAX} bytes")
    if suffix == ".json" or content.lstrip()[:1] == b"{":
        return orjson.loads(content)
    return _yaml(content)


def _yaml(content: bytes) -> Any:
    try:
        import yaml
    except ImportError:
        raise SeedError("a template in YAML needs PyYAML: pip install pyyaml") from None

    class Loader(yaml.SafeLoader):
        """YAML with CloudFormation's short forms: ``!Ref x`` is ``{"Ref": "x"}``."""

    def short_form(loader: Any, tag: str, node: Any) -> dict[str, Any]:
        name = tag if tag in ("Ref", "Condition") else f"Fn::{tag}"
        if isinstance(node, yaml.ScalarNode):
            return {name: loader.construct_scalar(node)}
        if isinstance(node, yaml.SequenceNode):
            return {name: loader.construct_sequence(node, deep=True)}
        return {name: loader.construct_mapping(node, deep=True)}

    Loader.add_multi_constructor("!", short_form)
    try:
        return yaml.load(content, Loader)
    except yaml.YAMLError as error:
        raise SeedError(f"must be YAML: {' '.join(str(error).split())}") from None


def _tables(document: Any, region: str) -> Iterator[DescribedTable]:
    if isinstance(document, Mapping) and isinstance(document.get("Resources"), Mapping):
        yield from template_tables(document, region)
    elif isinstance(document, Mapping) and isinstance(document.get("DataModel"), list):
        yield from workbench_tables(document)
    else:
        requests = document if isinstance(document, list) else [document]
        for request in requests:
            if not isinstance(request, Mapping) or not isinstance(request.get("TableName"), str):
                raise SeedError('must have "Resources" (CloudFormation), "DataModel" (NoSQL Workbench) or "TableName"')
            yield DescribedTable(dict(request))


def _make(execute: Execute, table: DescribedTable, progress: Progress) -> int:
    if table.create["TableName"] not in table_names(execute):
        execute("CreateTable", table.create)
    for operation, request in table.then:
        execute(operation, request)
    return _put_all(execute, table.create["TableName"], iter(table.items), progress)


def _put_all(execute: Execute, table: str, items: Iterator[dict[str, Any]], progress: Progress) -> int:
    count = 0
    batch: list[dict[str, Any]] = []
    for item in items:
        batch.append(item)
        count += 1
        if len(batch) == BATCH_ITEMS_MAX:
            put_items(execute, table, batch, progress)
    put_items(execute, table, batch, progress)
    return count


def _csv_items(execute: Execute, table: str, file: io.BufferedReader) -> Iterator[dict[str, Any]]:
    from bursar.dynamo.buckets.import_files import BadLine, CsvForm, csv_items, opened

    definitions = describe(execute, table)["AttributeDefinitions"]
    types = {definition["AttributeName"]: definition["AttributeType"] for definition in definitions}
    content = opened(file, "GZIP" if is_packed(file) else "NONE")
    try:
        for _, item in csv_items(content, CsvForm(",", None, types)):
            yield item
    except (BadLine, csv.Error) as error:
        raise SeedError(str(error)) from None
