"""A nightly job stores 25 prices in one batch."""

SEED = 0
PRICES = [{"PutRequest": {"Item": {"id": {"S": str(number)}, "price": {"N": "60"}}}} for number in range(25)]


def prepare(client):
    """Make the table."""
    client.create_table(
        TableName="prices",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def faulty(client):
    """Do it as calm emulators accept it."""
    client.batch_write_item(RequestItems={"prices": PRICES})


def fixed(client):
    """Do it as Amazon needs it."""
    waiting = {"prices": PRICES}
    while waiting:
        waiting = client.batch_write_item(RequestItems=waiting)["UnprocessedItems"]


def verify(client):
    """Verify the result."""
    assert client.scan(TableName="prices")["Count"] == 25
