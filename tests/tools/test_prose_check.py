"""The prose check finds what docs/writing.md refuses, where it is, and nothing in code or in allowed texts."""

from pathlib import Path

import pytest

from tools.prose_check import (
    ALLOWED,
    PATTERNS,
    ROOT,
    Finding,
    check_markdown,
    check_python,
    files_of,
    main,
    top_folder,
)

HERE = "src/bursar/portal/example.py"
PAGE = "docs/" + "example.md"
MODULE = '"""A module."""\n'


def found(findings: list[Finding]) -> list[tuple[int, str]]:
    return [(finding.line, finding.found) for finding in findings]


def in_function(docstring: str) -> list[tuple[int, str]]:
    return found(check_python(HERE, f'{MODULE}def do() -> None:\n    """{docstring}"""\n'))


ODD_SENTENCES = (
    ("Whoever reads it waits.", "Whoever"),
    ("Return whatever is there.", "whatever"),
    ("Nobody reads it.", "Nobody"),
    ("Return what somebody else wrote.", "somebody else"),
    ("Send it to everybody.", "everybody"),
    ("It tells the reason.", "tells"),
    ("The caller hears an error.", "hears"),
    ("It heeds the lock.", "heeds"),
    ("Return the record that it says of the item.", "says of"),
    ("Log who says it.", "who says"),
    ("The item stands in the table.", "stands"),
    ("A dash stands for zero.", "stands for"),
    ("It looks at the clock.", "looks at"),
    ("It looks after the pool.", "looks after"),
    ("The call wants a token.", "wants"),
    ("It waits for ever.", "for ever"),
    ("It is closed for good.", "for good"),
    ("Read the table anew.", "anew"),
    ("Return what became of it.", "what became of"),
    ("Each has a lock of its own.", "of its own"),
    ("Use a key of one's own.", "of one's own"),
    ("Each room keeps its own.", "its own"),
    ("Keep one's own keys.", "one's own"),
    ("Use an other name.", "an other"),
    ("It is no value of the table.", "is no value of"),
    ("It is sold no more.", "no more"),
    ("Wait for the turn.", "the turn"),
    ("Read the wall clock.", "wall clock"),
    ("It draws luck.", "draws luck"),
    ("It asks in vain.", "in vain"),
    ("Retry it so many times.", "so many times"),
    ("It is counted all the same.", "all the same"),
    ("It answers as ever.", "as ever"),
    ("It runs once in a while.", "once in a while"),
    ("A defect of ours.", "of ours"),
    ("It is the door's affair.", "affair"),
    ("An unforeseen error.", "unforeseen"),
    ("Report the troubles.", "troubles"),
    ("It mends the file.", "mends"),
    ("A guard does it besides.", "besides"),
    ("Read it beforehand.", "beforehand"),
    ("It fails for want of memory.", "for want of"),
    ("Close it, lest it leaks.", "lest"),
    ("Wait until the reply is here.", "is here"),
    ("The value is nobody's.", "is nobody's"),
    ("It puts off the call.", "puts off"),
    ("It takes it for an id.", "takes it for"),
    ("It is no other truth.", "no other truth"),
    ("Return it. Who asks first moves it.", "Who asks first moves it"),
    ("Return it. What is not among them is refused.", "What is not among them is refused"),
)


@pytest.mark.parametrize(("sentence", "odd"), ODD_SENTENCES)
def test_an_odd_sentence_is_found(sentence: str, odd: str) -> None:
    text = f"{MODULE}# {sentence}\n"
    assert (2, odd) in found(check_python(HERE, text))


def test_every_pattern_has_an_odd_sentence() -> None:
    source = "\n".join(f"- {sentence}" for sentence, _ in ODD_SENTENCES)
    advices = {finding.write for finding in check_markdown(PAGE, source)}
    assert [pattern for pattern, advice in PATTERNS if advice not in advices] == []


@pytest.mark.parametrize(
    "sentence",
    [
        "It understands the thousands of rows.",
        "A stand-in answers.",
        "There is no room for it.",
        "It is no longer there.",
        "Return ``whoever`` and `tells`.",
        "Do it in turn, and for good reasons.",
        "Return the owner. What is it?",
    ],
)
def test_plain_sentences_and_code_spans_are_no_findings(sentence: str) -> None:
    assert check_python(HERE, f"{MODULE}# {sentence}\n") == []


@pytest.mark.parametrize("docstring", ["Return it.", "Returns it.", "See :meth:`x`.", "Re-read it."])
def test_a_docstring_of_a_function_may_start_with_any_verb(docstring: str) -> None:
    assert in_function(docstring) == []


@pytest.mark.parametrize(
    "docstring", ["The value.", "Whether it is.", "How often.", "``x`` of it.", "(a, b).", "Gone: x."]
)
def test_a_docstring_of_a_function_does_not_start_with_another_word(docstring: str) -> None:
    assert in_function(docstring) == [(3, docstring.split()[0])]


def test_docstrings_of_classes_modules_and_properties_may_be_noun_phrases() -> None:
    source = f'{MODULE}class C:\n    """A class."""\n    @property\n    def p(self) -> int:\n        """The value."""\n'
    assert check_python(HERE, source) == []


def test_a_finding_is_on_its_own_line_of_a_docstring_or_comment() -> None:
    source = '"""A module.\n\nThe rest\ntells it.\n"""\n# A line\n# for\n# ever.\nx = 1  # nobody\n'
    assert found(check_python(HERE, source)) == [(4, "tells"), (7, "for ever"), (9, "nobody")]


def test_messages_of_errors_logs_and_help_are_read_and_other_strings_are_not() -> None:
    source = (
        f'{MODULE}x = "nobody"\n'
        'raise ValueError(f"fee {x}: wants a key")\n'
        '_log.warning("the pool heeds %s", x)\n'
        'self.logger.error("it is anew")\n'
        'click.option("--x", help="whoever calls")\n'
        'print("somebody")\n'
    )
    assert found(check_python(HERE, source)) == [(3, "wants"), (4, "heeds"), (5, "anew"), (6, "whoever")]


def test_markdown_has_one_sentence_per_line_outside_tables_code_and_headings() -> None:
    page = (
        "# One. Two\n\nOne is here now. Two is not.\n\n| One. Two | nobody |\n\n```\nOne. Two, nobody.\n```\n"
        "1. **Chosen.** One sentence, e.g. Amazon's.\n- Use `a. B` and Pay.gov Now.\n- One (two). Three.\n"
    )
    assert [line for line, _ in found(check_markdown(PAGE, page))] == [3, 5, 12]


def test_markdown_lines_have_160_columns_at_most_outside_tables() -> None:
    page = f"{'x' * 161}\n{'x' * 160}\n| {'x' * 200} |\n"
    assert found(check_markdown(PAGE, page)) == [(1, "161 columns")]


def test_an_allowed_text_is_no_finding_where_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Nobody has paid yet"
    monkeypatch.setattr("tools.prose_check.ALLOWED", (("*/portal/*", text, "clients match it"),))
    assert check_python(HERE, f'{MODULE}raise Gone("{text}")\n') == []
    assert found(check_python(HERE, f'{MODULE}raise Gone("Nobody has paid")\n')) == [(2, "Nobody")]
    assert found(check_python("src/bursar/rules/x.py", f'{MODULE}raise Gone("{text}")\n')) == [(2, "Nobody")]


def test_every_allowed_text_is_still_in_the_code_and_has_a_reason() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/bursar/portal").rglob("*.py"))
    assert [text for _, text, _ in ALLOWED if text != "*" and text not in code] == []
    assert all(reason for _, _, reason in ALLOWED)


def test_a_finding_says_what_to_write() -> None:
    assert str(Finding("a.py", 3, "anew", "again")) == 'a.py:3: found "anew": write "again"'


def test_only_the_chosen_paths_are_read() -> None:
    chosen = files_of(["src"], ["src/bursar/rules", "README.md"])
    assert ROOT / "README.md" in chosen
    assert all(path.is_relative_to(ROOT / "src/bursar/rules") or path.name == "README.md" for path in chosen)
    assert not any(path.is_relative_to(ROOT / "tests") for path in files_of(["src"], []))
    assert Path(__file__) in files_of(["tests"], [])


def test_a_room_counts_as_a_folder() -> None:
    assert top_folder("src/bursar/portal/api/x.py") == "src/bursar/portal"
    assert top_folder("docs/" + "decisions/0001.md") == "docs"


def test_the_exit_code_says_whether_anything_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--paths", "docs/glossary.md", "docs/writing.md", "docs/paygov.md"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["--count", "--paths", "docs/glossary.md"]) == 0
    assert capsys.readouterr().out.split() == ["0", "in", "all"]
    with pytest.raises(SystemExit):
        main(["--folders", "nowhere"])
