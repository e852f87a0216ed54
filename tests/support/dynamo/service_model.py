"""The differences between the versions of botocore that tests may run with."""

NEWER_OPERATIONS = {"CancelBulkOperation", "DescribeBulkOperation", "ListBulkOperations", "StartBulkPutItems"}
"""Operations that botocore knows since 1.44; the tests may run with an older one."""
