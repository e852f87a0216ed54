"""Copy tables from one DynamoDB to another while they are in use: nothing here knows payments or rules."""
