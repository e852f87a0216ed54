"""Amazon's weather: effects on correct requests that Amazon's DynamoDB has and an emulator lacks, chosen by a seed."""
