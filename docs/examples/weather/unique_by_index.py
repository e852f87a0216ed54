"""A site lets each e-mail address sign up once, and asks a global index whether it did."""

SEED = 0


def prepare(client):
    """Make the table."""
    client.create_table(
        TableName="accounts",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "email", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-email",
                "KeySchema": [{"AttributeName": "email", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )


def faulty(client):
    """Do it as calm emulators accept it."""
    for account in ("1", "2"):
        taken = client.query(
            TableName="accounts",
            IndexName="by-email",
            KeyConditionExpression="email = :email",
            ExpressionAttributeValues={":email": {"S": "ann@example.com"}},
        )["Count"]
        if not taken:
            client.put_item(TableName="accounts", Item={"id": {"S": account}, "email": {"S": "ann@example.com"}})


def fixed(client):
    """Do it as Amazon needs it."""
    for account in ("1", "2"):
        owner = {"id": {"S": "email ann@example.com"}, "account": {"S": account}}
        try:
            client.put_item(
                TableName="accounts",
                Item=owner,
                ConditionExpression="attribute_not_exists(id)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except client.exceptions.ConditionalCheckFailedException as error:
            if error.response["Item"] != owner:
                continue  # taken; its own item means that this is a retry after a 500
        client.put_item(TableName="accounts", Item={"id": {"S": account}, "email": {"S": "ann@example.com"}})


def verify(client):
    """Verify the result."""
    accounts = client.scan(TableName="accounts", FilterExpression="attribute_exists(email)")["Items"]
    assert [account["id"] for account in accounts] == [{"S": "1"}]
