"""The operations of DynamoDB's API: one module for each family, and the dispatch table that names them all."""
