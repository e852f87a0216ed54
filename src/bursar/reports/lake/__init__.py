"""The lake: Iceberg tables in a folder or on S3, their writer, the tail of later changes, and their verification."""
