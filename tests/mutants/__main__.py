"""Weaken every rule and many functions, one at a time: the tests must catch each mutant (`make mutants`).

A mutant is a small change to the program before the tests run: ``pytest -p tests.mutants.__main__`` with
PLANTED_MUTANT=name plants it. ``python -m tests.mutants [NAME …]`` runs the tests of each mutant's place, WORKERS at a
time, and prints which were caught. A NAME that ends with ``*`` is every mutant whose name begins so. The exit code is 1
when a mutant was not caught, or when the tests fail without a mutant.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tests.mutants.planted
import tests.mutants.planted_contract
import tests.mutants.planted_erasure
import tests.mutants.planted_fifth_review
import tests.mutants.planted_fourth_review
import tests.mutants.planted_native
import tests.mutants.planted_paygov
import tests.mutants.planted_payments
import tests.mutants.planted_portal
import tests.mutants.planted_second_review
import tests.mutants.planted_sixth_review
import tests.mutants.planted_sums
import tests.mutants.planted_third_review
import tests.mutants.planted_webhooks  # noqa: F401 - each adds its mutants
from tests.mutants.mutants import MUTANTS, Mutant, Mutate, never

TESTS = Path(__file__).parents[1]
WORKERS = int(os.environ.get("WORKERS", "2"))
ALONE = "(no mutant)"
TESTS_FAILED = 1
"""Pytest's exit code; any other says that it could not run, which catches nothing."""


def _without_rule(name: str) -> Mutate:
    def mutate() -> None:
        from bursar import payments
        from bursar.payments import rules
        from bursar.payments.ledger import ledger

        whole = rules.payment_rules

        def without(*arguments: Any) -> Any:
            table = whole(*arguments)
            kinds = tuple(replace(one, kept=one.kept and f"kept-{one.name}" != name) for one in table.kinds)
            return replace(table, kinds=kinds, rules=tuple(rule for rule in table.rules if rule.name != name))

        for module in (payments, ledger.rules, rules):
            module.payment_rules = without

    return mutate


def _plant_payment_mutants() -> None:
    from bursar.payments.catalogue.fees import FeeCatalogue
    from bursar.payments.rules import payment_rules

    table = payment_rules(FeeCatalogue.default())
    # Without this rule the others are refused, so no program could run with that mutant.
    needed = {"reversals-append-only"}
    names = [rule.name for rule in table.rules if rule.name not in needed] + [
        f"kept-{kind.name}" for kind in table.kinds if kind.kept
    ]
    for name in names:
        meaning = f"the payments table keeps no rule {name}"
        MUTANTS[f"payments-{name}"] = Mutant(meaning, _without_rule(name), ("rules/test_payment_rules.py",))


def _changes_a_module(name: str) -> bool:
    text = MUTANTS[name].text if name in MUTANTS else None
    return text is not None and ":" not in text[0]


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Plant a mutant that changes the source of a module, before any conftest imports it; pytest calls this hook."""
    name = os.environ.get("PLANTED_MUTANT", ALONE)
    if _changes_a_module(name):
        MUTANTS[name].plant()


def pytest_configure(config: Any) -> None:
    """Plant the mutant that PLANTED_MUTANT names before pytest collects any test; pytest calls this hook."""
    name = os.environ.get("PLANTED_MUTANT", ALONE)
    if name != ALONE and not _changes_a_module(name):
        import bursar.rules.audit.table_audit
        import bursar.rules.native
        import bursar.rules.table  # noqa: F401 - so that every name a mutant rebinds is there

        _plant_payment_mutants()
        MUTANTS[name].plant()


def caught_by(name: str) -> str | None:
    """Return the first test that failed under the mutant; None when all passed."""
    environment = {
        **os.environ,
        "PLANTED_MUTANT": name,
        "EQUIVALENCE_EXAMPLES": "100",
        "PYTHONPATH": str(TESTS.parent),
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.mutants.__main__",
        "-x",
        "-q",
        "--no-header",
        "-p",
        "no:cacheprovider",
    ]
    # The test of the list of rules would catch every dropped rule; a test of behaviour must.
    command += ["-m", "not oracle", "-k", "not every_rule_is_tested"]
    command += [str(TESTS / test) for test in MUTANTS[name].tests]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=TESTS.parent, check=False)
    if ended.returncode == 0:
        return None
    failed = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if ended.returncode != TESTS_FAILED or not failed:
        raise RuntimeError(f"{name}: pytest ended with {ended.returncode}\n{ended.stdout}{ended.stderr}")
    return failed[0].split(" - ")[0].partition(" ")[2]


def main(chosen: list[str]) -> int:
    _plant_payment_mutants()
    everything = tuple(dict.fromkeys(test for one in MUTANTS.values() for test in one.tests))
    names = [name for one in chosen for name in _named(one)] or [ALONE, *MUTANTS]
    MUTANTS[ALONE] = Mutant("nothing: the tests must pass", never, everything)
    wrong = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        for name, test in zip(names, pool.map(caught_by, names), strict=True):
            expected = name == ALONE
            good = (test is None) == expected
            wrong += not good
            said = "passes" if test is None and expected else "NOT CAUGHT" if test is None else f"caught by {test}"
            print(f"{'ok ' if good else 'BAD'} {name:<42} {MUTANTS[name].meaning:<70} {said}", flush=True)
    print(f"{len(names)} runs, {wrong} not as they should be")
    return 1 if wrong else 0


def _named(chosen: str) -> list[str]:
    return [name for name in MUTANTS if name.startswith(chosen[:-1])] if chosen.endswith("*") else [chosen]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
