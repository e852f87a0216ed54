"""Amazon's weather: what Amazon's DynamoDB does to correct requests and a calm emulator does not, by seed."""
