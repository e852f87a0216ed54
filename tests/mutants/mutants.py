"""Define mutants, and the ways in which one is planted. ``__main__.py`` runs the tests under each of them."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from sim.proof.planting import function_at, rewritten_code

Mutate = Callable[[], None]
RULES: tuple[str, ...] = ("rules",)


@dataclass(frozen=True)
class Mutant:
    """A planted fault: its ``meaning`` in plain words, and how to ``plant`` it before the tests run.

    ``tests`` are the files and folders of tests that must catch it: those of the place where it lives. ``text``: the
    place in the product, the text there and the text instead of it, for a fault that changes one function, or a module
    outside of its functions.
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


def weaken_module(name: str, meaning: str, module: str, old: str, new: str, *tests: str) -> None:
    """Add a mutant: ``module`` has ``new`` instead of ``old``, also in its tables, classes and commands."""

    def plant() -> None:
        if module in sys.modules:
            raise RuntimeError(f"{name}: must be planted before {module} is imported")
        sys.meta_path.insert(0, _Rewriting(module, old, new))

    if name in MUTANTS:
        raise ValueError(f"{name}: must be the name of one mutant")
    MUTANTS[name] = Mutant(meaning, plant, tests, (module, old, new))


def rewritten_source(module: str, old: str, new: str) -> str:
    """Return the source of ``module`` with ``new`` instead of ``old``, which must occur once.

    Raises ``LookupError`` if it does not.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise LookupError(f"{module}: must be a module")
    source = Path(spec.origin).read_text(encoding="utf-8")
    if source.count(old) != 1:
        raise LookupError(f"{module}: must have this text once; got it {source.count(old)} times: {old}")
    return source.replace(old, new)


class _Rewriting(MetaPathFinder):
    """Finds one module, with another source than its file has."""

    def __init__(self, module: str, old: str, new: str) -> None:
        self._module = module
        self._change = (old, new)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self._module:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _RewritingLoader(name, spec.origin, self._change)
        return spec


class _RewritingLoader(SourceFileLoader):
    def __init__(self, name: str, path: str, change: tuple[str, str]) -> None:
        super().__init__(name, path)
        self._change = change

    def get_code(self, fullname: str) -> CodeType:
        old, new = self._change
        source = Path(self.path).read_text(encoding="utf-8")
        return compile(source.replace(old, new), self.path, "exec", dont_inherit=True)


def always(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def never(*_: Any, **__: Any) -> None:
    return None


def rebind(name: str, old: Any, new: Any) -> None:
    """Replace ``old`` by ``new`` in every loaded module of bursar that imported it by name."""
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("bursar.") and getattr(module, name, None) is old:
            setattr(module, name, new)
