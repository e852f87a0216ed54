"""DynamoDB over HTTP: connections, admission of requests, credentials and policies."""
