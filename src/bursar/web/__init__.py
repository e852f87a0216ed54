"""HTTP for any room: ASGI server, HTTP client, SigV4, worker processes. It knows no DynamoDB and no payments."""
