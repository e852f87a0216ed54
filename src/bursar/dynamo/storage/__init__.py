"""The SQLite file: tables, rows, secondary indexes, expiry times, change streams, and its integrity check."""
