"""Every ledger that a test makes has a chosen write path: both paths in the use-case tests, a named one elsewhere."""

import ast
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bursar.payments import FeeCatalogue, Ledger
from bursar.rules import RuledTable
from tests.support import write_paths
from tests.support.payments.stage import Listening
from tests.support.write_paths import MARKER, SWAP, TRANSACTION, WRITE_PATHS, WritePath, paths_of

TESTS = Path(__file__).parent
MAKER = Path(write_paths.__file__)
USE_CASES = ("payments", "portal")
"""Folders, of tests/ and of tests/support/, whose tests run on both write paths: only :data:`MAKER` makes ledgers."""
WRITERS = frozenset({Ledger.__name__, RuledTable.__name__})
FILES = sorted(path for path in TESTS.rglob("*.py") if path != MAKER)


def made_without_a_path(source: str, *, in_use_cases: bool) -> list[int]:
    """Return the lines of ``source`` that make a ledger or a ruled table without a chosen write path.

    ``compare_and_swap=`` chooses one, except in the use-case tests, which must not choose.
    """
    return [
        call.lineno
        for call in _calls(source)
        if in_use_cases or "compare_and_swap" not in {keyword.arg for keyword in call.keywords}
    ]


def _calls(source: str) -> Iterator[ast.Call]:
    tree = ast.parse(source)
    imports = [name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for name in node.names]
    names = WRITERS | {name.asname for name in imports if name.asname and name.name in WRITERS}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            if called in names:
                yield node


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_every_ledger_has_a_chosen_write_path(path: Path) -> None:
    folder = path.relative_to(TESTS / "support" if path.is_relative_to(TESTS / "support") else TESTS).parts[0]
    found = made_without_a_path(path.read_text(encoding="utf-8"), in_use_cases=folder in USE_CASES)
    assert found == [], (
        "take the ledger from a stage or `write_path`; outside the use cases, `compare_and_swap=` will do"
    )


@pytest.mark.parametrize(
    ("source", "elsewhere", "in_use_cases"),
    [
        ("Ledger(store, clock=clock)", [1], [1]),
        ("payments.Ledger(store)", [1], [1]),
        ("from bursar.payments import Ledger as Book\nBook(store)", [2], [2]),
        ("RuledTable(store, 'table', rules)", [1], [1]),
        ("Ledger(store, compare_and_swap=None)", [], [1]),
        ("write_path.ledger(store)\nledger: Ledger = stage.ledger", [], []),
    ],
)
def test_a_ledger_made_past_the_stage_is_found(source: str, elsewhere: list[int], in_use_cases: list[int]) -> None:
    assert made_without_a_path(source, in_use_cases=False) == elsewhere
    assert made_without_a_path(source, in_use_cases=True) == in_use_cases


def test_a_test_runs_on_both_paths_unless_its_marker_names_one() -> None:
    assert paths_of(None) == [SWAP, TRANSACTION]
    assert paths_of(pytest.mark.only_write_path("swap", reason="it is about swaps").mark) == [SWAP]


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        (("transaction",), {}),
        (("transaction",), {"reason": " "}),
        (("compare_and_swap",), {"reason": "there is no such path"}),
        ((), {"reason": "it names no path"}),
        (("swap", "transaction"), {"reason": "it names two"}),
    ],
)
def test_a_marker_names_one_path_and_its_reason(arguments: tuple[str, ...], keywords: dict[str, Any]) -> None:
    marker = getattr(pytest.mark, MARKER)(*arguments, **keywords).mark
    with pytest.raises(ValueError, match=rf"^{MARKER}: must be \(swap or transaction, reason="):
        paths_of(marker)


@pytest.mark.parametrize("path", WRITE_PATHS, ids=lambda path: path.name)
async def test_every_write_of_a_payment_goes_its_path(path: WritePath) -> None:
    def clock() -> float:
        return 1_795_376_000.0

    opened = path.open(clock=clock, randomness=random.Random(1))
    await path.create_table(opened)
    store = Listening(opened)
    ledger = path.ledger(store, clock=clock, randomness=random.Random(2))
    fee = FeeCatalogue.default().fee("PETITION_FILING_FEE", clock())
    assert fee is not None
    assert fee.amount is not None
    attempt = await ledger.start_attempt("c", "r", fee, fee.amount, {"docketNumber": "1"}, "https://a", "https://b")
    attempt = await ledger.record_token(attempt, "t" * 32)
    await ledger.take_lease(attempt, "worker", 30)
    assert [operation for operation in store.operations if operation not in ("GetItem", "Query")] == [
        path.write_operation
    ] * 3
    await store.close()
