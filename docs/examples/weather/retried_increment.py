"""A poll counts 30 votes. After a 500, the SDK sends the same request again."""

SEED = 0


def prepare(client):
    """Make the table."""
    client.create_table(
        TableName="polls",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def faulty(client):
    """Do it as calm emulators accept it."""
    for _voter in range(30):
        client.update_item(
            TableName="polls",
            Key={"id": {"S": "lunch"}},
            UpdateExpression="ADD votes :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )


def fixed(client):
    """Do it as Amazon needs it."""
    for voter in range(30):
        client.update_item(
            TableName="polls",
            Key={"id": {"S": "lunch"}},
            UpdateExpression="ADD voters :voter",
            ExpressionAttributeValues={":voter": {"SS": [str(voter)]}},
        )


def verify(client):
    """Verify the result."""
    poll = client.get_item(TableName="polls", Key={"id": {"S": "lunch"}})["Item"]
    assert int(poll["votes"]["N"]) == 30 if "votes" in poll else len(poll["voters"]["SS"]) == 30
