"""``bursar generate``: a made-up but realistic history of payments, for demos, tests and benchmarks.

calendar    how many payments start on each day, and at which time
stories     the course of one payment, played through the real ledger on the clock of the story
scratch     the obligation that the ledger is working on, in memory, and its sentinels
samples     metadata that fit the schema of a fee
open_cases, reconciled_months   what a demo adds: cases that wait for a person, and runs of `bursar reconcile`
history     all days, into a new store and the simulator's books
"""
