"""Prove that commits changed only prose, and print the files that they changed.

    python tools/check_prose_only.py [--allow-messages] COMMIT | BASE..HEAD

A Python file may differ in docstrings, in other strings that are statements, and in comments: its syntax tree without
them must be equal before and after. Any other file must be Markdown. The exit code is 1 when something else changed.
``--allow-messages`` also ignores the text of messages: string constants and f-strings in the arguments of a ``raise``
or of a logging call. The values in an f-string still count, in their order.

Lines that direct a tool are no prose: comments such as ``# type: ignore`` or ``# noqa`` must be equal too.
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LOG_METHODS: Final = frozenset(("debug", "info", "warning", "error", "exception", "critical", "log"))
LOGGER: Final = re.compile(r"(?:^|[._])(?:log|logger|logging)$", re.IGNORECASE)
DIRECTIVE: Final = re.compile(r"#\s*(?:type:\s*ignore|noqa|fmt:|pragma:|ruff:|mypy:)[^#]*")
MESSAGE: Final = "a message"


class _WithoutProse(ast.NodeTransformer):
    """Remove string statements; with ``messages``, replace the text of messages by one constant."""

    def __init__(self, messages: bool) -> None:
        self.messages = messages

    def visit(self, node: ast.AST) -> ast.AST:
        """Return ``node`` without prose."""
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                setattr(node, field, [each for each in statements if not _is_text(each)])
        if self.messages and isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            _blank_arguments(node.exc)
        if self.messages and isinstance(node, ast.Call) and _logs(node):
            _blank_arguments(node)
        return self.generic_visit(node)


class _WithoutText(ast.NodeTransformer):
    """Replace strings by one constant, and f-strings by the list of their values."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return ast.Constant(MESSAGE) if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        values = [part for part in node.values if isinstance(part, ast.FormattedValue)]
        return ast.JoinedStr([ast.Constant(MESSAGE), *values]) if values else ast.Constant(MESSAGE)


def _blank_arguments(call: ast.Call) -> None:
    call.args = [_WithoutText().visit(argument) for argument in call.args]
    for keyword in call.keywords:
        keyword.value = _WithoutText().visit(keyword.value)


def _is_text(statement: object) -> bool:
    match statement:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return False


def _logs(call: ast.Call) -> bool:
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in LOG_METHODS:
        return False
    return LOGGER.search(ast.unparse(function.value)) is not None


def code_of(source: str, *, messages: bool) -> str:
    """Return the code of a Python file as one comparable text: its syntax tree without prose, and its directives.

    ``messages``: the text of messages is prose too. Raises SyntaxError for a file that is not Python.
    """
    tree = _WithoutProse(messages).visit(ast.parse(source))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    directives = [found[0].strip() for comment in comments if (found := DIRECTIVE.search(comment))]
    return "\n".join([ast.dump(tree, indent=1), *directives])


def first_difference(before: str, after: str) -> str:
    """Return the first line of code that differs, for a person to find the place."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next((f"{old.strip()} -> {new.strip()}" for old, new in pairs if old != new), "one is longer")


def check_file(path: str, before: str | None, after: str | None, *, messages: bool) -> str | None:
    """Return why the change of ``path`` is more than prose, or None. ``before`` or ``after`` is None: no such file."""
    if path.endswith(".md"):
        return None
    if not path.endswith(".py"):
        return "must be Python or Markdown"
    if before is None or after is None:
        return "must not be added, removed or renamed"
    old, new = code_of(before, messages=messages), code_of(after, messages=messages)
    return None if old == new else f"code changed: {first_difference(old, new)}"


def changed_files(base: str, head: str, root: Path) -> list[str]:
    """Return the paths that differ between two commits; a renamed file is two paths."""
    listed = _git(root, "diff", "--name-only", "--no-renames", "-z", base, head)
    return [path for path in listed.split("\0") if path]


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def _file_at(root: Path, commit: str, path: str) -> str | None:
    shown = subprocess.run(["git", "show", f"{commit}:{path}"], cwd=root, check=False, capture_output=True)
    return shown.stdout.decode(errors="replace") if shown.returncode == 0 else None


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commits", help="one commit, or BASE..HEAD")
    parser.add_argument("--allow-messages", action="store_true", help="ignore the text of error and log messages")
    options = parser.parse_args(arguments)
    base, dots, head = options.commits.partition("..")
    if not dots:
        base, head = f"{options.commits}^", options.commits
    wrong = 0
    for path in changed_files(base, head, root):
        versions = _file_at(root, base, path), _file_at(root, head, path)
        why = check_file(path, *versions, messages=options.allow_messages)
        wrong += why is not None
        print(f"BAD {path}: {why}" if why else f"ok  {path}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
