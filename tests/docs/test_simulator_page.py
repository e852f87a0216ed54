"""docs/simulator.md names every misbehaviour, field and address of the simulator, and what the page says happens."""

import re
from dataclasses import fields
from pathlib import Path

from bursar.paygov.commands import simulator
from bursar.paygov.simulator import Misbehaviour
from bursar.paygov.simulator.books import Charge
from bursar.paygov.simulator.misbehaviour import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")


def test_every_kind_is_listed_with_what_happens_to_the_operation() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| .* \| (yes|no)", PAGE, re.MULTILINE))
    assert listed == {name: "yes" if kind.takes_place else "no" for name, kind in KINDS.items()}
    changeable = set(re.findall(r"^\| `(\w+)` \| .*, unless `takes_place=", PAGE, re.MULTILINE))
    assert changeable == {name for name, kind in KINDS.items() if not kind.fixed}


def test_every_field_of_a_misbehaviour_and_of_a_charge_is_named() -> None:
    named = [each.name for each in fields(Misbehaviour)]
    assert [name for name in named if not re.search(rf"`{name}[`=]|\"{name}\"|{name.upper()}", PAGE)] == []
    assert [each.name for each in fields(Charge) if f'"{each.name}":' not in PAGE] == []


def test_every_option_of_the_command_is_named() -> None:
    options = [option for each in simulator.params for option in each.opts if option.startswith("--")]
    assert [option for option in options if f"`{option}`" not in PAGE] == []
