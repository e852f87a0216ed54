r"""A PartiQL prompt: reads statements, draws tables, and reports each error in one line.

    orders> SELECT pk, total FROM orders WHERE pk = 'a'

It uses a file or an endpoint through one function: (operation, request) → response. A line that ends with ``\\``
continues on the next. Lines that begin with a dot are the shell's commands: see ``HELP``.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bursar.dynamo.errors import DynamoError, StoreOutcomeUnknown, StoreUnreachable
from bursar.dynamo.items.attribute_values import AttributeValue, Item
from bursar.dynamo.tools.dump_and_load import Execute

ROWS_PER_PAGE = 100
CELL_LONGEST = 60
HISTORY_LINES_MAX = 2000
PROMPT, PROMPT_CONTINUED = "dynamo> ", "   ...> "

HELP = """\
SELECT … FROM table[.index] WHERE …, INSERT INTO table VALUE {…}, UPDATE table SET … WHERE …, DELETE FROM table WHERE …
.tables          the tables
.describe TABLE  its keys and indexes
.next            the next items of the last SELECT
.exit            (or Ctrl-D)"""

_LITERALS: Mapping[str, Callable[[Any], str]] = {
    "S": lambda content: "'" + content.replace("'", "''") + "'",
    "N": str,
    "B": lambda content: f"b64'{content}'",
    "BOOL": lambda content: "true" if content else "false",
    "NULL": lambda content: "null",
    "SS": lambda content: f"<<{', '.join(map(_LITERALS['S'], content))}>>",
    "NS": lambda content: f"<<{', '.join(content)}>>",
    "BS": lambda content: f"<<{', '.join(map(_LITERALS['B'], content))}>>",
    "L": lambda content: f"[{', '.join(map(literal, content))}]",
    "M": lambda content: "{" + ", ".join(f"'{name}': {literal(value)}" for name, value in content.items()) + "}",
}


def literal(value: AttributeValue) -> str:
    """Return a value as a statement contains it; a binary value, which has no literal, as ``b64'…'``."""
    ((kind, content),) = value.items()
    return _LITERALS[kind](content)


class Shell:
    """Runs lines against one store."""

    def __init__(self, execute: Execute, output: Console, errors: Console, *, as_json: bool = False) -> None:
        self._execute = execute
        self._output = output
        self._errors = errors
        self._as_json = as_json
        self._next_request: dict[str, Any] | None = None
        self.ended = False

    def run(self, line: str) -> bool:
        """Run one line; on an error, print one line about it and return False."""
        line = line.strip()
        if not line:
            return True
        try:
            if line.startswith("."):
                self._command(*line[1:].split())
            else:
                self._statement({"Statement": line})
        except DynamoError as error:
            return self._failed(str(error))
        except (StoreUnreachable, StoreOutcomeUnknown) as error:
            return self._failed(f"{type(error).__name__}: {error}")
        return True

    def _failed(self, message: str) -> bool:
        self._errors.print(Text(" ".join(message.split()), style="red"), soft_wrap=True)
        return False

    # --- statements ---

    def _statement(self, request: dict[str, Any]) -> None:
        self._next_request = None
        reads = request["Statement"].lstrip().lower().startswith("select")
        response = self._execute("ExecuteStatement", {**request, **({"Limit": ROWS_PER_PAGE} if reads else {})})
        items = response.get("Items", [])
        if reads or items:
            self._show(items)
        else:
            self._print_note("done")
        token = response.get("NextToken")
        if token is not None:
            self._next_request = {**request, "NextToken": token}
            self._print_note("more items may follow: .next")

    def _show(self, items: Sequence[Item]) -> None:
        if self._as_json:
            for item in items:
                self._output.out(orjson.dumps(item).decode(), highlight=False)
            return
        names = list(dict.fromkeys(name for item in items for name in item))
        if names:
            drawn = Table()
            for name in names:
                drawn.add_column(Text(name))
            for item in items:
                drawn.add_row(*(_cell(item.get(name)) for name in names))
            self._output.print(drawn)
        self._print_note(f"{len(items)} {'item' if len(items) == 1 else 'items'}")

    def _print_note(self, message: str) -> None:
        # With JSON output, notes go to standard error: standard output contains only JSON.
        (self._errors if self._as_json else self._output).print(Text(message, style="dim"), soft_wrap=True)

    # --- the shell's own commands ---

    def _command(self, name: str = "", *arguments: str) -> None:
        if name in ("exit", "quit"):
            self.ended = True
        elif name == "tables" and not arguments:
            for table in self._table_names():
                self._output.print(Text(table), soft_wrap=True)
        elif name == "describe" and len(arguments) == 1:
            self._describe(arguments[0])
        elif name == "next" and not arguments:
            if self._next_request is None:
                self._print_note("no more items")
            else:
                self._statement(self._next_request)
        else:
            self._output.print(Text(HELP), soft_wrap=True)

    def _table_names(self) -> list[str]:
        names: list[str] = []
        start: dict[str, str] = {}
        while True:
            response = self._execute("ListTables", start)
            names += response["TableNames"]
            if "LastEvaluatedTableName" not in response:
                return names
            start = {"ExclusiveStartTableName": response["LastEvaluatedTableName"]}

    def _describe(self, name: str) -> None:
        described = self._execute("DescribeTable", {"TableName": name})["Table"]
        types = {one["AttributeName"]: one["AttributeType"] for one in described["AttributeDefinitions"]}
        drawn = Table("", "key", "projection")
        drawn.add_row(Text(name), _key(described["KeySchema"], types), "")
        for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
            for index in described.get(member, ()):
                projection = index["Projection"]["ProjectionType"]
                drawn.add_row(Text(f'"{name}"."{index["IndexName"]}"'), _key(index["KeySchema"], types), projection)
        self._output.print(drawn)


def _cell(value: AttributeValue | None) -> Text:
    """Return one value of a table: a string without its quotes, nothing for a missing attribute."""
    if value is None:
        return Text("")
    written: str = value["S"] if "S" in value else literal(value)
    shown = "".join(character if character.isprintable() else "·" for character in written)
    text = Text(shown if len(shown) <= CELL_LONGEST else shown[: CELL_LONGEST - 1] + "…")
    if "N" in value:
        text.justify = "right"
    return text


def _key(schema: Sequence[Mapping[str, str]], types: Mapping[str, str]) -> Text:
    return Text(", ".join(f"{one['AttributeName']} {types[one['AttributeName']]}" for one in schema))


# --- the prompt -----------------------------------------------------------------------------------------------------


def history_path() -> Path:
    """Return the path of the prompt's history: ``$XDG_STATE_HOME/bursar/shell-history``."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "bursar" / "shell-history"


def prompt(shell: Shell) -> bool:
    """Read lines until the end; at a terminal with a prompt and a history. Return False when any line failed."""
    if not sys.stdin.isatty():
        return _run_all(shell, lambda is_continued: input())
    shell.run(".help")
    keep = _load_history(history_path())
    try:
        _run_all(shell, lambda is_continued: input(PROMPT_CONTINUED if is_continued else PROMPT))
    finally:
        keep()
    return True


def _run_all(shell: Shell, read: Callable[[bool], str]) -> bool:
    succeeded = True
    while not shell.ended:
        try:
            line = read(False)
            while line.endswith("\\"):
                line = line[:-1] + "\n" + read(True)
        except EOFError:
            break
        except KeyboardInterrupt:
            continue  # Ctrl-C discards the line; the shell continues
        succeeded = shell.run(line) and succeeded
    return succeeded


def _load_history(path: Path) -> Callable[[], None]:
    """Load the history and return a function that saves it; in a read-only folder there is no history."""
    try:
        import readline
    except ImportError:  # this Python was built without readline: there is no history
        return lambda: None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        readline.read_history_file(path)
    except OSError:
        return lambda: None
    readline.set_history_length(HISTORY_LINES_MAX)

    def keep() -> None:
        try:
            readline.write_history_file(path)
        except OSError:
            return

    return keep
