"""The actors of a run: applications and their payers, operators, banks, and clients without permission."""
