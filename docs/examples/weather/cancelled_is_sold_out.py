"""A theatre sells 10 seats, and takes every cancelled transaction for "sold out"."""

SEED = 0


def prepare(client):
    """Make the table."""
    client.create_table(
        TableName="theatre",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName="theatre", Item={"id": {"S": "show"}, "seats": {"N": "10"}})


def sale(number):
    """Return the transaction that takes a seat and stores its ticket."""
    seat = {
        "TableName": "theatre",
        "Key": {"id": {"S": "show"}},
        "UpdateExpression": "SET seats = seats - :one",
        "ConditionExpression": "seats > :none",
        "ExpressionAttributeValues": {":one": {"N": "1"}, ":none": {"N": "0"}},
    }
    return [{"Update": seat}, {"Put": {"TableName": "theatre", "Item": {"id": {"S": f"ticket {number}"}}}}]


def faulty(client):
    """Do it as calm emulators accept it."""
    for number in range(12):
        try:
            client.transact_write_items(TransactItems=sale(number))
        except client.exceptions.TransactionCanceledException:
            return  # sold out


def fixed(client):
    """Do it as Amazon needs it."""
    number = 0
    while True:
        try:
            client.transact_write_items(TransactItems=sale(number))
            number += 1
        except client.exceptions.TransactionCanceledException as error:
            if any(reason["Code"] == "ConditionalCheckFailed" for reason in error.response["CancellationReasons"]):
                return  # sold out; a conflict or throttling is not


def verify(client):
    """Verify the result."""
    show = client.get_item(TableName="theatre", Key={"id": {"S": "show"}})["Item"]
    assert show["seats"] == {"N": "0"}
    assert client.scan(TableName="theatre")["Count"] == 11
