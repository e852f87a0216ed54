"""Operations on items and streams: single items, batches, queries, scans, transactions, PartiQL statements."""
