"""A report adds up the payments of a customer."""

SEED = 0
PAYMENTS = {
    "TableName": "payments",
    "KeyConditionExpression": "customer = :customer",
    "ExpressionAttributeValues": {":customer": {"S": "ann"}},
}


def prepare(client):
    """Make the table."""
    client.create_table(
        TableName="payments",
        KeySchema=[
            {"AttributeName": "customer", "KeyType": "HASH"},
            {"AttributeName": "number", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "customer", "AttributeType": "S"},
            {"AttributeName": "number", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(20):
        client.put_item(
            TableName="payments",
            Item={"customer": {"S": "ann"}, "number": {"N": str(number)}, "amount": {"N": "60"}},
        )


def faulty(client):
    """Do it as calm emulators accept it."""
    items = client.query(**PAYMENTS)["Items"]
    assert sum(int(item["amount"]["N"]) for item in items) == 1200


def fixed(client):
    """Do it as Amazon needs it."""
    pages = client.get_paginator("query").paginate(**PAYMENTS)
    items = [item for page in pages for item in page["Items"]]
    assert sum(int(item["amount"]["N"]) for item in items) == 1200


def verify(client):
    """Do nothing: the code itself finds the fault."""
