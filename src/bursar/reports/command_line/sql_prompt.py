"""The prompt of ``bursar sql``: history, completion of tables and columns, several lines, Ctrl-C stops a statement.

    bursar> SELECT fee, count(*)
       ...> FROM payments GROUP BY fee;

A statement ends with a semicolon or with an empty line. Lines that begin with a dot are the prompt's commands.
"""

import asyncio
import os
import re
import signal
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from bursar.private_files import create_private, make_private_folder
from bursar.reports.errors import ReportError
from bursar.reports.schema_text import schema_text, words

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer

PROMPT: Final = "bursar> "
PROMPT_CONTINUED: Final = "   ...> "
HELP: Final = """\
SELECT …;      one statement over the tables; it may have several lines, and ends with ; or an empty line
EXPLAIN …;     how DuckDB would run it
.schema        the tables and their columns
.help          this text
.exit          ends the prompt, and so does Ctrl-D; Ctrl-C stops a statement
"""
_KEYWORDS: Final = (
    *("SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "HAVING", "JOIN", "LEFT JOIN", "ON", "USING", "AS"),
    *("AND", "OR", "NOT", "IN", "BETWEEN", "LIKE", "IS NULL", "IS NOT NULL", "DISTINCT", "UNION ALL", "WITH", "OVER"),
    *("CASE", "WHEN", "THEN", "ELSE", "END", "CAST", "DESC", "ASC", "NULLS LAST", "FILTER", "QUALIFY", "EXPLAIN"),
    *(
        "count(*)",
        "sum",
        "avg",
        "min",
        "max",
        "median",
        "quantile_cont",
        "date_trunc",
        "date_diff",
        "coalesce",
        "round",
    ),
)

Ask = Callable[[str], Awaitable[str]]
"""Returns the answer to a statement as text. Raises a ``ReportError``."""


async def run_prompt(ask: Ask, session: "PromptSession[str] | None" = None) -> None:
    """Read statements and print their answers until the end. An error prints one line, and the prompt continues."""
    session = _session() if session is None else session
    click.echo("Type .help for help.")
    while True:
        try:
            text = (await session.prompt_async(PROMPT)).strip()
        except KeyboardInterrupt:
            continue  # Ctrl-C discards the statement
        except EOFError:
            return
        if text in (".exit", ".quit"):
            return
        if text.startswith("."):
            click.echo(schema_text() if text == ".schema" else HELP, nl=False)
        elif text.strip(";"):
            await _answer(ask, text)


async def _answer(ask: Ask, text: str) -> None:
    asking: asyncio.Future[str] = asyncio.ensure_future(ask(text))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, asking.cancel)
    try:
        click.echo(await asking, nl=False)
    except ReportError as error:
        click.echo(click.style(f"Error: {error}", fg="red"), err=True)
    except asyncio.CancelledError:
        if not asking.cancelled():
            raise
        click.echo("stopped", err=True)
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def is_complete(text: str) -> bool:
    """Return whether Enter ends the statement: it ends with a semicolon or an empty line, or is a command."""
    stripped = text.strip()
    return not stripped or stripped.startswith(".") or stripped.endswith(";") or text.endswith("\n")


def completions(before: str) -> Iterable[tuple[str, str]]:
    """Return (word, meaning) for each word that may complete the last word of ``before``."""
    begun = _begun(before)
    if before.lstrip().startswith("."):
        return [(command, "") for command in (".schema", ".help", ".exit") if command.startswith(before.strip())]
    names = [(name, meaning) for name, meaning in words().items() if name.startswith(begun.lower())]
    return names + [(word, "") for word in _KEYWORDS if word.lower().startswith(begun.lower())] if begun else []


def history_path() -> Path:
    """Return the path of the prompt's history: ``$XDG_STATE_HOME/bursar/sql-history``."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "bursar" / "sql-history"


def _begun(before: str) -> str:
    found = re.search(r"\w+$", before)
    return found[0] if found else ""


def _session() -> "PromptSession[str]":
    from prompt_toolkit import PromptSession
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.lexers import PygmentsLexer
    from pygments.lexers.sql import PostgresLexer

    keys = KeyBindings()
    session: PromptSession[str] = PromptSession(
        history=_history(),
        completer=_completer(),
        complete_while_typing=False,
        lexer=PygmentsLexer(PostgresLexer),
        multiline=True,
        prompt_continuation=PROMPT_CONTINUED,
        key_bindings=keys,
        enable_history_search=True,
    )

    @keys.add("enter", filter=Condition(lambda: is_complete(session.default_buffer.document.text)))
    def _(event: Any) -> None:
        event.current_buffer.validate_and_handle()

    return session


def _completer() -> "Completer":
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document

    class NameCompleter(Completer):
        def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
            before = document.text_before_cursor
            begun = before.strip() if before.lstrip().startswith(".") else _begun(before)
            for word, meaning in completions(before):
                yield Completion(word, -len(begun), display_meta=meaning)

    return NameCompleter()


def _history() -> Any:
    """Return the history from its file. If the folder cannot be written, return a history for this session only."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    path = history_path()
    try:
        make_private_folder(path.parent)
        create_private(path)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))
