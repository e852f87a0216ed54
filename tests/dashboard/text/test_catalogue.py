"""Every text of the dashboard is in the catalogue, in each language, and only there."""

import ast
import re
from pathlib import Path

import pytest
from jinja2 import Environment

import bursar.dashboard
from bursar.dashboard.text.catalogue import LANGUAGES, fields_of, text_in

FOLDER = Path(bursar.dashboard.__file__).parent
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))
CODE = sorted(path for name in ("pages", "queries") for path in (FOLDER / name).glob("*.py"))
SHOWN_ATTRIBUTES = re.compile(r'\b(?:aria-label|title|placeholder|alt|content-label|data-label)="([^"{]*)')
KEY = re.compile(r"""\bt(?:ext)?(?:\.count)?\(\s*["']([\w.]+)["']\s*[,)]""")
NAMES_OF_THINGS = {"j", "k", "Enter", "allowEval", "includeIndicatorStyles"}
"""Words in templates that are the same in every language: keys of the keyboard, and htmx's settings."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_keys_and_fields(language: str) -> None:
    english, other = text_in("en").texts, text_in("es" if language == "es" else "en").texts
    assert sorted(other) == sorted(english)
    assert {key: fields_of(text) for key, text in other.items()} == {k: fields_of(t) for k, t in english.items()}


def test_no_text_is_empty() -> None:
    assert [key for language in LANGUAGES for key, text in text_in(language).texts.items() if not text.strip()] == []


def outside_of_the_catalogue(template: str) -> set[str]:
    """Return the words that a template shows itself, in its text and in attributes."""
    tokens = Environment().lex(template)
    markup = "".join(str(value) if kind == "data" else "\0" for _, kind, value in tokens if kind in ("data", "name"))
    visible = re.sub(r"<[^>]*>", " ", re.sub(r"<(script|style)\b.*?</\1>", " ", markup, flags=re.DOTALL))
    shown = [visible, *SHOWN_ATTRIBUTES.findall(markup)]
    return {word for text in shown for word in re.findall(r"[A-Za-z]+", text)} - NAMES_OF_THINGS


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_text_outside_of_the_catalogue(path: Path) -> None:
    assert outside_of_the_catalogue(path.read_text(encoding="utf-8")) == set()


def test_a_text_in_a_template_is_noticed() -> None:
    assert outside_of_the_catalogue("<p>Hello {{ name }}</p>") == {"Hello"}
    assert outside_of_the_catalogue('<a title="More of it" class="x">{{ t("x") }}</a>') == {"More", "of", "it"}
    assert outside_of_the_catalogue('<a title="{{ t("x") }}" class="x">{# comment #}</a>') == set()


@pytest.mark.parametrize("path", CODE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_page_has_no_sentence_outside_of_the_catalogue(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    ]
    assert [text for text in texts if re.fullmatch(r"[A-Z][a-z]+(?: [a-z']+)+\.?", text)] == []


@pytest.mark.parametrize("path", [*TEMPLATES, *CODE], ids=lambda path: path.name)
def test_every_key_is_in_the_catalogue(path: Path) -> None:
    text = text_in("en")
    keys = set(KEY.findall(path.read_text(encoding="utf-8")))
    assert sorted(key for key in keys if not {key, f"{key}.one"} & text.texts.keys()) == []


def test_a_count_chooses_its_form() -> None:
    assert text_in("en").count("transactions.count", 1) == "1 transaction"
    assert text_in("es").count("transactions.count", 1234) == "1,234 transacciones"
