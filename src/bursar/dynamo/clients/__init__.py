"""Clients of a DynamoDB: an open store (embedded or remote), and boto3 clients that run with no server."""
