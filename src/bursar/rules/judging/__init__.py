"""Judging a change: the plan of a rule set, local rules, unique values and parents, sentinels, violations."""
