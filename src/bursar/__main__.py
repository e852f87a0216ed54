"""Run the command ``bursar`` as ``python -m bursar``."""

from bursar.cli import main

main()
