"""A commit of prose alone passes the check; a commit that changes any code does not."""

import subprocess
from pathlib import Path

import pytest

from tools.check_prose_only import check_file, main

BEFORE = '''"""A module."""

LIMIT_S = 3.0
"""The limit."""


def pay(amount: int) -> int:
    """Pay."""
    # Why.
    if amount < 0:
        raise ValueError(f"amount: {amount} is bad", LIMIT_S)
    _log.warning("paid %d", amount)  # noqa: F821
    return amount
'''


def why_bad(old: str, new: str, *, messages: bool = False) -> str | None:
    assert old in BEFORE
    return check_file("a.py", BEFORE, BEFORE.replace(old, new), messages=messages)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""', '"""Another."""'),
        ('"""The limit."""\n', ""),
        ('"""Pay."""', '"""Pay the\n    amount."""'),
        ("    # Why.\n", ""),
        ("# Why.", "# Why?\n    # Because."),
        ("LIMIT_S = 3.0", "LIMIT_S = 3.0  # seconds"),
    ],
)
def test_docstrings_and_comments_are_prose(old: str, new: str) -> None:
    assert why_bad(old, new) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("amount < 0", "amount <= 0"),
        ("3.0", "4.0"),
        ("is bad", "must be above 0"),
        ("paid %d", "payment %d"),
        ("  # noqa: F821", ""),
        ("return amount", 'return "amount"'),
    ],
)
def test_anything_else_is_code(old: str, new: str) -> None:
    assert why_bad(old, new) is not None


@pytest.mark.parametrize(
    ("old", "new", "is_prose"),
    [
        ("is bad", "must be above 0", True),
        ("paid %d", "payment of %d", True),
        ('"paid %d"', '"paid " "%d"', True),
        ("{amount} is bad", "bad", False),
        ("{amount}", "{-amount}", False),
        (", LIMIT_S)", ")", False),
        ("ValueError", "TypeError", False),
        ("_log.warning", "_log.error", False),
        ("return amount", 'return "amount"', False),
    ],
)
def test_messages_are_prose_when_they_are_allowed_to_be(old: str, new: str, is_prose: bool) -> None:
    assert (why_bad(old, new, messages=True) is None) == is_prose


def test_a_body_of_a_docstring_alone_may_not_lose_it_for_code() -> None:
    before = 'class E(Exception):\n    """An error."""\n'
    assert check_file("a.py", before, 'class E(Exception):\n    """A fault."""\n', messages=False) is None
    assert (
        check_file("a.py", before, 'class E(Exception):\n    """A fault."""\n    x = 1\n', messages=False) is not None
    )


def test_pages_are_prose_and_other_files_are_not() -> None:
    assert check_file("a.md", "a", None, messages=False) is None
    assert check_file("Makefile", "a", "b", messages=False) == "must be Python or Markdown"
    assert check_file("a.py", None, BEFORE, messages=False) == "must not be added, removed or renamed"


def test_commits_are_read_from_git(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def git(*arguments: str) -> None:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    def commit(text: str) -> None:
        (tmp_path / "a.py").write_text(text, encoding="utf-8")
        (tmp_path / "b.md").write_text(text, encoding="utf-8")
        git("add", "-A")
        git("commit", "-q", "-m", "change")

    git("init", "-q")
    commit(BEFORE)
    commit(BEFORE.replace("Pay.", "Pay the amount."))
    assert main(["HEAD"], tmp_path) == 0
    assert capsys.readouterr().out == "ok  a.py\nok  b.md\n"
    commit(BEFORE.replace("is bad", "must be above 0"))
    assert main(["HEAD~2..HEAD"], tmp_path) == 1
    assert "BAD a.py: code changed: " in capsys.readouterr().out
    assert main(["--allow-messages", "HEAD~2..HEAD"], tmp_path) == 0
