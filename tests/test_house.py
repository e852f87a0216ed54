"""The house keeps its own style: every file says its job and keeps to one; every link and cited page exists."""

import ast
import re
import tomllib
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path

import grimp
import pytest

from bursar import __version__

ROOT = Path(__file__).parent.parent
LINES_MAX = 500
CODE = sorted(path for folder in ("src", "sim", "bench", "tools", "tests") for path in (ROOT / folder).rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
CITED = re.compile(r"\bdocs/[\w./-]+\.md\b")
HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
OTHER_TEXT = [ROOT / "Makefile", ROOT / "pyproject.toml"]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CODE, ids=name)
def test_a_file_says_its_job_first_and_keeps_to_one(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "its first lines say what it is for"
    assert len(text.splitlines()) <= LINES_MAX, "is it still one job?"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    links = [link for link in LINK.findall(path.read_text(encoding="utf-8")) if "://" not in link[0]]
    assert [link for link in links if not leads_somewhere(path, *link)] == []


def leads_somewhere(page: Path, target: str, anchor: str) -> bool:
    """Return whether ``target`` exists beside ``page`` and, if it is one of our pages, has the heading ``anchor``."""
    found = page.parent / target if target else page
    if not anchor or found.suffix != ".md":
        return found.exists()
    return found.exists() and anchor in anchors(found)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page; of equal headings, the first one's alone."""
    headings = HEADING.findall(FENCED.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w -]", "", LINK.sub("]", heading).lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*CODE, *PAGES, *OTHER_TEXT], ids=name)
def test_cited_pages_exist(path: Path) -> None:
    cited = set(CITED.findall(path.read_text(encoding="utf-8")))
    assert sorted(page for page in cited if not (ROOT / page).is_file()) == []


def test_a_missing_page_and_a_missing_anchor_are_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `thing`, here\n\n```\n# no heading\n```\n", encoding="utf-8")
    assert leads_somewhere(page, "", "one-thing-here")
    assert leads_somewhere(page, "page.md", "")
    assert not leads_somewhere(page, "", "no-heading")
    assert not leads_somewhere(page, "missing.md", "")


DOUBLE_NAMES = {
    "_Reader": "reads one TOML file",
}
"""Class names and type aliases that several files of ``src`` define, each with the reason why."""


def defined_names(path: Path) -> set[str]:
    """Return the classes and type aliases that a module defines at its top level."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.annotation, ast.Name):
            if node.annotation.id == "TypeAlias" and isinstance(node.target, ast.Name):
                names.add(node.target.id)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            target = node.targets[0].id
            if re.fullmatch(r"_?[A-Z]\w*[a-z]\w*", target):
                names.add(target)
    return names


def test_a_name_that_several_files_define_has_a_reason() -> None:
    files: dict[str, list[str]] = {}
    for path in CODE:
        if path.is_relative_to(ROOT / "src"):
            for defined in defined_names(path):
                files.setdefault(defined, []).append(name(path))
    several = {defined: paths for defined, paths in files.items() if len(paths) > 1}
    assert {defined: paths for defined, paths in several.items() if defined not in DOUBLE_NAMES} == {}
    assert sorted(DOUBLE_NAMES.keys() - several.keys()) == [], "a reason without a double name"


def test_no_import_leads_in_a_circle() -> None:
    """Imports inside of functions and those for types alone count too; the error names the circle."""
    imports = grimp.build_graph("bursar", cache_dir=None)
    TopologicalSorter({one: imports.find_modules_directly_imported_by(one) for one in imports.modules}).prepare()


ROOMS = sorted(path for path in (ROOT / "src" / "bursar").iterdir() if (path / "__init__.py").exists())


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_the_map_names_every_room_and_its_folders(room: Path) -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert f"| `{room.name}` |" in text
    listed = re.search(rf"^{room.name}/ .*?(?=^\S|^$)", text, re.MULTILINE | re.DOTALL)
    folders = {path.name for path in room.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders - set(re.findall(r"\b(\w+)/ ", listed.group() if listed else "")) == set()


@pytest.mark.parametrize("package", [path for path in CODE if path.name == "__init__.py"], ids=name)
def test_a_package_hides_none_of_its_modules(package: Path) -> None:
    modules = {path.stem for path in package.parent.iterdir() if path.suffix == ".py" or path.is_dir()}
    bound: set[str] = set()
    for node in ast.parse(package.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            bound |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
    assert sorted(bound & modules) == []


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports anywhere in it, and the names that it imports from them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", [path for path in CODE if path.stem.startswith("fast_")], ids=name)
def test_a_speed_trick_names_its_twin_its_test_and_its_gain(path: Path) -> None:
    """Check the marks of law 13; the named test holds the trick equal to its twin."""
    text = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").replace("\n", " ")
    assert "plain twin" in text
    assert re.search(r"\b[Gg]ain\b", text)
    assert [test for test in re.findall(r"\btests/[\w/]+\.py\b", text) if (ROOT / test).is_file()]


HTTP_CLIENTS = re.compile(
    r"(http\.client|urllib\.request|urllib3|requests|aiohttp|httpx2?|authlib\.integrations)(\.|$)"
)
OTHER_HTTP_CLIENTS = {
    "src/bursar/dashboard/sign_in/provider/provider.py": "authlib speaks OpenID Connect through httpx2",
    "src/bursar/dynamo/tools/testing.py": "a user's test waits for its server, and has no event loop",
}
"""The modules that send HTTP without :mod:`bursar.web.http_client`, each with the reason why."""


def test_the_house_has_one_http_client() -> None:
    source = [path for path in CODE if path.is_relative_to(ROOT / "src")]
    other = [name(path) for path in source if any(HTTP_CLIENTS.match(module) for module in imported(path))]
    assert other == sorted(OTHER_HTTP_CLIENTS)


@pytest.mark.parametrize("path", [path for path in CODE if path.is_relative_to(ROOT / "tests")], ids=name)
def test_what_tests_share_is_in_tests_support(path: Path) -> None:
    assert sorted(module for module in imported(path) if re.search(r"^\.|(^|\.)(test_\w+|conftest)$", module)) == []


def test_nothing_stands_for_behaviour_that_is_not_there() -> None:
    promises = re.compile(r"\b(TO" r"DO|FIX" r"ME|NotImplemented" r"Error)\b")
    assert [name(path) for path in CODE if promises.search(path.read_text(encoding="utf-8"))] == []


def test_the_version_is_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" not in project
    assert version("bursar") == __version__
