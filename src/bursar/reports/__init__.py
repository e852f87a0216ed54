"""SQL over every payment, up to the last second: the lake, its writer, the tail of later changes, named reports.

A query reads Iceberg tables in a folder or on S3 up to their watermark, and later changes from the store. An
acknowledged payment is in the answer of the next query. Start at :class:`bursar.reports.reports.Reports`; errors are in
:mod:`bursar.reports.errors`. This package imports none of its modules, so that the portal can read
:mod:`bursar.reports.log_sorts` without them. DuckDB, Arrow and pyiceberg load on first use.
"""
