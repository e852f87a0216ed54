"""The whole system in one process under virtual time and one seed, judged by an independent model.

Run by ``make sim SEEDS=n`` and, for fewer seeds, by the test suite. See docs/simulation.md.
"""
