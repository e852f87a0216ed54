"""Check prose against docs/writing.md: docstrings, comments, error and log messages, help texts and Markdown.

    python tools/prose_check.py [--folders src,tests,…] [--paths PATH …] [--count]

Without options it reads `src` and every Markdown page. ``--paths`` reads only what lies under the given files or
folders. Each finding is one line, ``path:line: found "…": write "…"``, and any finding makes the exit code 1.
``--count`` prints the findings per folder instead (a room of src/bursar counts as a folder).

    rule            read in                                       demands
    PATTERNS        all prose; code spans and code blocks not     none of the odd words
    NOT_VERBS       docstrings of functions (properties not)      a verb as the first word
    one sentence    Markdown; tables, code and headings not       a line break after each sentence
    160 columns     Markdown; tables and code not                 a shorter line
"""

import argparse
import ast
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDERS: Final = ("src", "tests", "sim", "bench", "tools")
COLUMNS_MAX: Final = 160
FOUND_CHARACTERS_MAX: Final = 60

PATTERNS: Final = (
    # (pattern, what to write instead). A space matches any white space, also a line break.
    (r"who(?:m|so)?ever", "a caller that …"),
    (r"(?:what|which)ever", "any …"),
    (r"(?:nobody|no one)", "no caller, nothing (name it)"),
    (r"(?:somebody|someone)(?: else)?", "another caller, a person (name it)"),
    (r"(?:every|any)body", "every caller, all readers (name them)"),
    (r"(?:tells?|told|telling)", "returns, reports, shows"),
    (r"(?:hears?|heard|hearing)", "receives, learns"),
    (r"(?:heeds?|heeded|unheeded)", "obeys, uses"),
    (r"(?:says?|said|saying) of", "reports about"),
    (r"(?:what|who) (?:says|said)", "name what reports it"),
    (r"(?:stands?|stood)(?!-| for)", "is, exists"),
    (r"stands? for", "represents"),
    (r"look(?:s|ed|ing)? at", "reads, checks, inspects"),
    (r"look(?:s|ed|ing)? after", "maintains"),
    (r"(?:wants?|wanted)", "needs, requests"),
    (r"for ever", "permanently"),
    (r"for good(?=[.,;:)]|$)", "permanently"),
    (r"anew", "again"),
    (r"(?:what )?(?:becomes|became|become) of", "the result of, the state of"),
    (r"of (?:one's|its|their|our) own", "separate, private"),
    (r"(?:its|their|our) own(?=[.,;:)]|$)", "name the thing"),
    (r"one's own", "your own, separate"),
    (r"an other|(?:the )?other one's|others'", "another, the other caller's"),
    (r"(?<!here\s)(?:is|are|was|were) no (?!longer\b|more\b)\w+ (?:of|at|for|that|to)", "is not …, there is no …"),
    (r"no more(?=[.,;:)]|$)", "no longer"),
    (r"(?:the|its|their|a|his) turn", "the write lock, the event loop iteration"),
    (r"wall(?:'s)? clock", "the system clock"),
    (r"(?:draws?|by|of) luck", "randomness"),
    (r"in vain", "without success"),
    (r"so many times", "a bounded number of times"),
    (r"(?:all the same|for all that)", "nevertheless, also"),
    (r"as ever", "as before"),
    (r"once in a while|now and then", "periodically"),
    (r"of (?:ours|theirs|yours)", "our …, their …"),
    (r"affairs?", "responsibility"),
    (r"(?:unasked|unforeseen|foresaw|foreseen)", "unexpected"),
    (r"troubles?", "errors, problems"),
    (r"mend(?:s|ed|ing)?", "fixes, repairs"),
    (r"besides(?=[.,;:)]|$)", "also"),
    (r"beforehand", "before, in advance"),
    (r"for (?:want|lack) of", "because … is missing"),
    (r"by and by|at long last|whence|thence|lest|nought|naught", "the plain word"),
    (r"(?:is|are|was|were) here(?=[.,;:)]|$)", "has arrived, exists"),
    (r"(?:is|are|was|were) nobody's", "has no owner"),
    (r"put(?:s|ting)? off", "delays"),
    (r"takes? (?:it|them|this|that|which)? ?for(?= )", "treats as"),
    (r"no other (?:truth|meaning)", "the same result"),
)
# A clause as the subject of a sentence that is not a question.
CLAUSE_SUBJECT: Final = (
    r"(?:^|(?<=[.:;!] )|(?<=\n\n))(?:\*\*)?(?:Who(?:se)?|What)"
    r"(?: (?:is|are|was|were|has|have|may|can|does|do|did|must))?(?: not)? [a-z][^?.]*?(?=[?.]|$)"
)
CLAUSE_ADVICE: Final = "a subject, then an active verb"

_NOT_VERBS = """
A All An And Another Any As At Both But By Bytes Can Does Each Either Entries Every Everything Few Field For
From Here How If In Into Is It Items Its Key Many Metadata More Most Neither No Nobody None Not Nothing Now Of
Off On Once One Only Operands Or Other Our Out Paths Rows Same Several Some Somebody Something Such That The
Their There These They This Those Time To True False Twice Two Typed Units Up Values We What When Where
Whether Which While Who Whole Whose Why With Without You
"""
NOT_VERBS: Final = frozenset(_NOT_VERBS.split())
"""Common first words of docstrings that are no verbs. A word that is not plain and capitalised is refused too."""

ALLOWED: Final = (
    # (path pattern, text, reason). A finding inside of ``text`` is no finding.
    ("docs/writing.md", "*", "quotes the patterns that this check refuses"),
    ("tools/prose_check.py", "*", "lists the patterns"),
    ("tests/tools/test_prose_check.py", "*", "quotes the patterns"),
    ("*/portal/*", "This token is no longer valid.", "the existing portal's clients match it"),
    ("*/portal/*", "Transaction could not be found", "the existing portal's clients match it"),
    ("*/portal/*", "Transaction Reference Id was not found", "the existing portal's clients match it"),
    ("*/portal/*", "A payment is already being processed for this token", "the existing portal's clients match it"),
    (
        "*/portal/*",
        "An unexpected error occurred while processing the request",
        "the existing portal's clients match it",
    ),
    ("*/portal/*", "invalid JSON in request body", "the existing portal's clients match it"),
    ("*/portal/*", "missing body", "the existing portal's clients match it"),
    ("*/portal/*", "Client not registered", "the existing portal's clients match it"),
    ("*/portal/*", "Client not authorized for fee", "the existing portal's clients match it"),
    ("*/portal/*", "does not allow variable amounts", "the existing portal's clients match it"),
    ("*/portal/*", "requires an amount", "the existing portal's clients match it"),
)

FUNCTION: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
LOGGER: Final = re.compile(r"(?:^|[._])(?:log|logger|logging)$", re.IGNORECASE)
LOG_METHODS: Final = frozenset(("debug", "info", "warning", "error", "exception", "critical", "log"))
HELP_ARGUMENTS: Final = frozenset(("help", "short_help", "epilog", "description"))
PROPERTIES: Final = re.compile(r"(?:^|\.)(?:\w*property|setter|getter)$")
DIRECTIVE: Final = re.compile(r"#\s*(?:type:|noqa|fmt:|pragma|!)")
CODE_SPAN: Final = re.compile(r"(`+)(?:.+?)\1", re.DOTALL)
LINK_TARGET: Final = re.compile(r"\]\([^)]*\)")
MARKS: Final = re.compile(r"^\s*(?:[-*+>]\s+|\d+\.\s+)*(?:\[[ x]\]\s+)?")
RUN_IN: Final = re.compile(r"^\*\*[^*]+\*\*\s*")
ABBREVIATION: Final = re.compile(r"(?:\b(?:e\.g|i\.e|vs|cf|etc|No|Nos|St|[A-Z])|…)\.?$")
SENTENCE_END: Final = re.compile(r"[.!?][\"'”’)\]*_]*\s+(?=[\"'“(\[*_]*[A-Z])")


def _compile() -> tuple[tuple[re.Pattern[str], str], ...]:
    flexible = ((pattern.replace(" ", r"\s+"), advice) for pattern, advice in PATTERNS)
    words = tuple((re.compile(rf"(?<![\w-])(?:{p})(?![\w-])", re.IGNORECASE), advice) for p, advice in flexible)
    return (*words, (re.compile(CLAUSE_SUBJECT), CLAUSE_ADVICE))


COMPILED: Final = _compile()


@dataclass(frozen=True, order=True, slots=True)
class Finding:
    """One breach of the rules; ``path`` is relative to the repository."""

    path: str
    line: int
    found: str
    write: str

    def __str__(self) -> str:
        return f'{self.path}:{self.line}: found "{self.found}": write "{self.write}"'


@dataclass(frozen=True, slots=True)
class Prose:
    """A piece of prose and the line on which it begins. ``function``: it is a function's docstring."""

    text: str
    line: int
    function: bool = False


def check_python(path: str, source: str) -> list[Finding]:
    """Return the findings of one Python file, in order of lines. Raises SyntaxError for a file that is not Python."""
    found = set[Finding]()
    for prose in (*_strings(ast.parse(source)), *_comments(source)):
        found.update(_odd_words(path, prose))
        if prose.function and (word := _not_a_verb(prose.text)):
            found.add(Finding(path, prose.line, word, "a docstring that starts with a verb"))
    return sorted(found)


def check_markdown(path: str, source: str) -> list[Finding]:
    """Return the findings of one Markdown page, in order of lines."""
    found: list[Finding] = []
    for line, text in _markdown_lines(source):
        if not text.lstrip().startswith("|"):
            found += _layout(path, line, text)
        found += _odd_words(path, Prose(MARKS.sub("", text), line))
    return sorted(set(found))


def _layout(path: str, line: int, text: str) -> Iterator[Finding]:
    if len(text) > COLUMNS_MAX:
        yield Finding(path, line, f"{len(text)} columns", f"at most {COLUMNS_MAX}")
    if text.startswith("#"):
        return
    plain = RUN_IN.sub("", MARKS.sub("", CODE_SPAN.sub(lambda span: "x" * len(span[0]), text)))
    for end in SENTENCE_END.finditer(plain):
        if not ABBREVIATION.search(plain[: end.start()]):
            at = len(text) - len(plain) + end.start()
            yield Finding(path, line, text[max(0, at - 12) : at + 14].strip(), "one sentence per line")


def _markdown_lines(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, text) of each line outside of code blocks and HTML comments."""
    fence = ""
    for number, text in enumerate(source.splitlines(), 1):
        opens = re.match(r"\s*(```+|~~~+)", text)
        if opens and (not fence or opens[1].startswith(fence)):
            fence = "" if fence else opens[1]
        elif not fence and not text.startswith(("    ", "<!--")):
            yield number, text


def _odd_words(path: str, prose: Prose) -> Iterator[Finding]:
    text = LINK_TARGET.sub(lambda target: "]" + " " * (len(target[0]) - 1), CODE_SPAN.sub(_blank, prose.text))
    matches = [(match, advice) for pattern, advice in COMPILED for match in pattern.finditer(text)]
    taken: list[tuple[int, int]] = []
    for match, advice in sorted(matches, key=lambda each: -len(each[0][0])):  # of overlapping ones, the longest
        start, end = match.span()
        overlaps = any(start < other_end and other_start < end for other_start, other_end in taken)
        if overlaps or _asks(text, match, advice) or _allowed(path, prose.text, match.span()):
            continue
        taken.append((start, end))
        found = " ".join(prose.text[start:end].split())
        yield Finding(path, prose.line + text.count("\n", 0, start), found[:FOUND_CHARACTERS_MAX], advice)


def _asks(text: str, match: re.Match[str], advice: str) -> bool:
    return advice == CLAUSE_ADVICE and text[match.end() : match.end() + 1] == "?"


def _blank(span: re.Match[str]) -> str:
    """Return the code span with its lines kept and its words made unreadable for the patterns."""
    return re.sub(r"[^\n]", "`", span[0])


def _allowed(path: str, text: str, span: tuple[int, int]) -> bool:
    for where, allowed, _ in ALLOWED:
        if not fnmatch(path, where):
            continue
        at = text.find(allowed)
        if allowed == "*" or (at >= 0 and at <= span[0] and span[1] <= at + len(allowed)):
            return True
    return False


def _not_a_verb(docstring: str) -> str:
    """Return the first word of a docstring that cannot be a verb; an empty text if it can be one."""
    word = (docstring.split() or [""])[0]
    is_verb = re.fullmatch(r"[A-Z][a-z]+(?:-[a-z]+)?", word) is not None and word not in NOT_VERBS
    return "" if is_verb else word


def _strings(tree: ast.Module) -> Iterator[Prose]:
    functions = {id(node.body[0]) for node in ast.walk(tree) if isinstance(node, FUNCTION) and _does_something(node)}
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str() as text)):
                yield Prose(text, node.lineno, id(node) in functions)
            case ast.Raise(exc=ast.Call() as call):
                yield from _message(call.args)
                yield from _message([keyword.value for keyword in call.keywords])
            case ast.Call(func=ast.Attribute() as method) if _logs(method):
                yield from _message(node.args)
            case ast.Call():
                yield from _message([each.value for each in node.keywords if each.arg in HELP_ARGUMENTS])


def _does_something(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether the function has a docstring and is not a property."""
    if ast.get_docstring(function) is None:
        return False
    return not any(PROPERTIES.search(ast.unparse(decorator)) for decorator in function.decorator_list)


def _logs(method: ast.Attribute) -> bool:
    return method.attr in LOG_METHODS and LOGGER.search(ast.unparse(method.value)) is not None


def _message(arguments: Iterable[ast.expr]) -> Iterator[Prose]:
    for argument in arguments:
        for node in ast.walk(argument):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield Prose(node.value, node.lineno)


def _comments(source: str) -> Iterator[Prose]:
    """Yield each comment; comments on lines that follow each other are one piece."""
    lines: list[str] = []
    first = 0
    readline = iter(source.splitlines(keepends=True)).__next__
    for token in tokenize.generate_tokens(readline):
        if token.type != tokenize.COMMENT or DIRECTIVE.match(token.string):
            continue
        row = token.start[0]
        if lines and row != first + len(lines):
            yield Prose("\n".join(lines), first)
            lines = []
        if not lines:
            first = row
        lines.append(token.string.lstrip("#: "))
    if lines:
        yield Prose("\n".join(lines), first)


def files_of(folders: Iterable[str], paths: Iterable[str], root: Path = ROOT) -> list[Path]:
    """Return the files to read, sorted: of ``paths`` if there are any, else of ``folders`` and all Markdown pages."""
    if chosen := [root / path for path in paths]:
        found = [file for path in chosen for file in ([path] if path.is_file() else path.rglob("*"))]
    else:
        found = [file for folder in folders for file in (root / folder).rglob("*.py")]
        found += [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    return sorted({file for file in found if file.suffix in (".py", ".md")})


def check(files: Iterable[Path], root: Path = ROOT) -> list[Finding]:
    """Return the findings of all ``files``."""
    found: list[Finding] = []
    for file in files:
        path, source = file.relative_to(root).as_posix(), file.read_text(encoding="utf-8")
        found += check_python(path, source) if file.suffix == ".py" else check_markdown(path, source)
    return found


def top_folder(path: str) -> str:
    """Return the folder under which ``--count`` counts a path: a room of src/bursar, else the first folder."""
    parts = path.split("/")
    if parts[:2] == ["src", "bursar"]:
        return "/".join(parts[:3])
    return parts[0]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folders", default="src", help=f"the code to read, separated by commas, of {','.join(FOLDERS)}"
    )
    parser.add_argument("--paths", nargs="+", default=[], help="read only these files and folders")
    parser.add_argument("--count", action="store_true", help="print the number of findings per folder")
    options = parser.parse_args(arguments)
    folders = options.folders.split(",")
    if unknown := [folder for folder in folders if folder not in FOLDERS]:
        parser.error(f"--folders: must be of {', '.join(FOLDERS)}; got {', '.join(unknown)}")
    if missing := [path for path in options.paths if not (ROOT / path).exists()]:
        parser.error(f"--paths: must exist; got {', '.join(missing)}")
    found = check(files_of(folders, options.paths))
    if options.count:
        counts = Counter(top_folder(finding.path) for finding in found)
        for folder, count in sorted(counts.items()):
            print(f"{count:6}  {folder}")
        print(f"{len(found):6}  in all")
    else:
        print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
