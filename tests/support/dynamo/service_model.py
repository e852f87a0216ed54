"""What the tests know about botocore's service models."""

NEWER_OPERATIONS = {"CancelBulkOperation", "DescribeBulkOperation", "ListBulkOperations", "StartBulkPutItems"}
"""Operations that botocore knows since 1.44; the tests may run with an older one."""
