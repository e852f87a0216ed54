"""``bench_reports``: the reports over a million payments, beside PostgreSQL with the closest portal's indexes.

history       generated payments, and the lake that holds them
data_set      a folder with store, lake and PostgreSQL, built once and kept
postgres      PostgreSQL in that folder
questions     each row of the page: the question on both sides
measuring     both sides in turn, while payments arrive and the writer runs
page          the page
"""
