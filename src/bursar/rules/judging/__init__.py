"""Judging a write: the plan of a set of rules, local rules, unique values and parents, sentinels, violations."""
