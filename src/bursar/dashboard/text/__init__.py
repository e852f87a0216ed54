"""Every text that a person reads in the dashboard: one catalogue per language, with the same keys."""
