"""A cold ``bursar sql`` loads only what its answer needs."""

import asyncio
import subprocess
import sys
from pathlib import Path

from bursar.bootstrap.composition import Composition
from bursar.settings import Settings

PROGRAM = """
import sys
from bursar.cli import main
try:
    main(["sql", "SELECT count(*) FROM payments"])
except SystemExit:
    heavy = ("numpy", "pyarrow.compute", "pyiceberg", "bursar.rules.table", "bursar.payments.ledger.ledger")
    print([name for name in heavy if name in sys.modules])
"""


def test_a_cold_question_loads_neither_numpy_nor_the_rules(tmp_path: Path) -> None:
    data = str(tmp_path / "data")

    async def write() -> None:
        async with Composition(Settings(data=data)) as parts:
            await (await parts.reports()).write_lake()

    asyncio.run(write())
    answered = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={"BURSAR_DATA": data}, capture_output=True, text=True, check=True
    )
    assert answered.stdout.splitlines()[-1] == "[]"
