"""Copy tables from one DynamoDB to another while they are in use: this package knows neither payments nor rules."""
