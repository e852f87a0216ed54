"""The lake: Iceberg tables in a folder or on S3, their writer, the tail of changes since, and their verification."""
