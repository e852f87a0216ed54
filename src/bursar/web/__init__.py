"""HTTP for any room: ASGI server, SigV4, worker processes, connection balancing. Knows no DynamoDB and no payments."""
