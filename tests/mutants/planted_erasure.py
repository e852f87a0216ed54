"""The mutants of erasable attributes; they are added to those of ``planted.py``."""

from typing import Any

from tests.mutants.mutants import mutant


@mutant("erasure-comes-back", "an erased attribute may be written again")
def _() -> None:
    from bursar.rules.judging.local_rules import UnchangedVerdict

    call = UnchangedVerdict.__call__

    def forgiving(self: UnchangedVerdict, old: Any, new: Any) -> str | None:
        kept = {name: value for name, value in new.items() if name in (old or {}) or name not in self._erasable}
        return call(self, old, kept)

    UnchangedVerdict.__call__ = forgiving


@mutant("erasure-is-a-change", "an erasable attribute may get any value")
def _() -> None:
    from bursar.rules.judging.local_rules import UnchangedVerdict

    made = UnchangedVerdict.__init__

    def without_erasable(self: UnchangedVerdict, attributes: Any, **how: Any) -> None:
        erasable = how.get("erasable", ())
        made(self, tuple(name for name in attributes if name not in erasable), **how)

    UnchangedVerdict.__init__ = without_erasable


@mutant("erasure-of-anything", "every immutable attribute may be erased")
def _() -> None:
    from bursar.rules.judging.local_rules import UnchangedVerdict

    made = UnchangedVerdict.__init__

    def all_erasable(self: UnchangedVerdict, attributes: Any, *, once: bool, **_: Any) -> None:
        made(self, attributes, once=once, erasable=() if once else attributes)

    UnchangedVerdict.__init__ = all_erasable


@mutant("erasure-of-the-child-first", "a child may be erased before its parent")
def _() -> None:
    from bursar.rules.judging.unique_and_parent import ParentRule

    disagreement = ParentRule.disagreement

    def forgiving(self: ParentRule, child: Any, parent: Any) -> str | None:
        present = {name: value for name, value in (parent or {}).items() if name in child or name not in self.erasable}
        return disagreement(self, child, present if parent is not None else None)

    ParentRule.disagreement = forgiving


@mutant("erasure-forgives-every-attribute", "a child agrees in any attribute that its parent lacks")
def _() -> None:
    from bursar.rules.judging.unique_and_parent import ParentRule

    made = ParentRule.__init__

    def all_erasable(self: ParentRule, *arguments: Any) -> None:
        made(self, *arguments)
        self.erasable = frozenset(self.attributes)

    ParentRule.__init__ = all_erasable


@mutant("erasure-unknown-to-the-check", "the compiled check refuses an erased parent")
def _() -> None:
    from bursar.rules.transactions import compile as compiling

    expect = compiling._expect

    def strictly(expected: Any, attribute: tuple[str, bool], value: Any) -> None:
        expect(expected, (attribute[0], False), value)

    compiling._expect = strictly
