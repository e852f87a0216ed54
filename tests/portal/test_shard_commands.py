"""The command ``bursar shards``, run as an operator runs it."""

from collections.abc import Callable

from click.testing import Result

from bursar.portal.shard_commands import shards


def test_shards_are_shown_and_raised_and_never_lowered(run: Callable[..., Result]) -> None:
    assert run(shards).output == "1\n"
    for name in ("", " ", "x" * 101):
        assert run(shards, "--raise-to", "8", "--by", name).exit_code == 2
    assert run(shards, "--raise-to", "129", "--by", "Ada").exit_code == 2
    raised = run(shards, "--raise-to", "8", "--by", "Ada")
    assert (raised.exit_code, raised.output) == (
        0,
        "The index `changes` has 8 shards, and `due` 8. Restart the portals that run.\n",
    )
    assert run(shards).output == "8\n"
    lower = run(shards, "--raise-to", "4", "--by", "Ada")
    assert (lower.exit_code, "shards: must be from 9 to 128; got 4" in lower.output) == (1, True)
