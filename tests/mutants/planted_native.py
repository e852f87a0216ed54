"""The mutants of the engine's guard; they are added to those of ``planted.py``."""

from tests.mutants.mutants import always, mutant, never


@mutant("native-unique-dropped", "the guard records no owners")
def _() -> None:
    from bursar.rules.native import NativeGuard

    NativeGuard._own = never


@mutant("native-sentinels-unseen", "a sentinel that another request wrote does not count")
def _() -> None:
    from bursar.rules.native import NativeGuard

    NativeGuard._sentinel_of = never


@mutant("native-owners-unseen", "an owners row does not count against a writer with a sentinel")
def _() -> None:
    from bursar.dynamo.core.guard_overlay import GuardOverlay

    GuardOverlay.owner = never


@mutant("native-stale-sentinels-block", "a sentinel counts although its owner gave the value up")
def _() -> None:
    from bursar.rules.native import NativeGuard

    NativeGuard._owns = always(True)


@mutant("native-never-released", "the guard keeps the owners of values given up")
def _() -> None:
    from bursar.rules.native import NativeGuard

    NativeGuard._give_up = never


@mutant("native-parents-unchecked", "the guard checks no parent")
def _() -> None:
    from bursar.rules.native import NativeGuard

    NativeGuard._parent_refusal = never


@mutant("native-sentinels-unguarded", "every client may remove or forge a sentinel")
def _() -> None:
    from bursar.rules.native import NativeGuard

    NativeGuard._sentinel_refusal = never


@mutant("native-adopts-anything", "rules are put on a table that breaks them")
def _() -> None:
    from bursar.rules.native import NativeGuard

    NativeGuard._violations = always(iter(()))
