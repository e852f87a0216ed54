"""The store, Pay.gov, S3 and Glue that the functions of these tests find."""

from tests.support.deploy.functions import aws, backend, functions

__all__ = ["aws", "backend", "functions"]
