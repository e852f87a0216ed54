"""HTTP for any room: server base, SigV4, worker processes, connection balancing. Knows no DynamoDB and no payments."""
