"""A shop stores an order, and reads it again to show it."""

SEED = 0


def prepare(client):
    """Make the table."""
    client.create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def faulty(client):
    """Do it as calm emulators accept it."""
    for number in range(5):
        client.put_item(TableName="orders", Item={"id": {"S": str(number)}, "status": {"S": "paid"}})
        order = client.get_item(TableName="orders", Key={"id": {"S": str(number)}})
        assert order["Item"]["status"] == {"S": "paid"}


def fixed(client):
    """Do it as Amazon needs it."""
    for number in range(5):
        client.put_item(TableName="orders", Item={"id": {"S": str(number)}, "status": {"S": "paid"}})
        order = client.get_item(TableName="orders", Key={"id": {"S": str(number)}}, ConsistentRead=True)
        assert order["Item"]["status"] == {"S": "paid"}


def verify(client):
    """Do nothing: the code itself finds the fault."""
