"""Deliver the changes of tables: a stream to an HTTP target, and changes to data streams of Kinesis."""
