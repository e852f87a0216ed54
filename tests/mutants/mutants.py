"""Define mutants, and the ways in which one is planted. ``__main__.py`` runs the tests under each of them."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sim.proof.planting import function_at, rewritten_code

Mutate = Callable[[], None]
RULES: tuple[str, ...] = ("rules",)


@dataclass(frozen=True)
class Mutant:
    """A planted fault: its ``meaning`` in plain words, and how to ``plant`` it before the tests run.

    ``tests`` are the files and folders of tests that must catch it: those of the place where it lives. ``text``: the
    place in the product, the text there and the text instead of it, for a fault that changes one function.
    """

    meaning: str
    plant: Mutate
    tests: tuple[str, ...] = RULES
    text: tuple[str, str, str] | None = None


MUTANTS: dict[str, Mutant] = {}
"""Name → mutant."""


def mutant(name: str, meaning: str, *tests: str) -> Callable[[Mutate], Mutate]:
    """Make the decorated function a mutant."""

    def keep(mutate: Mutate) -> Mutate:
        MUTANTS[name] = Mutant(meaning, mutate, tests or RULES)
        return mutate

    return keep


def weaken(name: str, meaning: str, place: str, old: str, new: str, *tests: str) -> None:
    """Add a mutant: the function at ``place`` (``package.module:Class.method``) has ``new`` instead of ``old``."""

    def plant() -> None:
        function_at(place).__code__ = rewritten_code(place, old, new)

    if name in MUTANTS:
        raise ValueError(f"{name}: must be the name of one mutant")
    MUTANTS[name] = Mutant(meaning, plant, tests, (place, old, new))


def always(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def never(*_: Any, **__: Any) -> None:
    return None


def rebind(name: str, old: Any, new: Any) -> None:
    """Replace ``old`` by ``new`` in every loaded module of bursar that imported it by name."""
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("bursar.") and getattr(module, name, None) is old:
            setattr(module, name, new)
