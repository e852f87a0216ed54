// What the AWS SDK for JavaScript v3 makes of the server: node scenario.mjs URL FOLDER-OF-NODE_MODULES
// Prints one JSON document of what it saw; the Python test beside it judges that.
import { createRequire } from "node:module";

const [url, home] = process.argv.slice(2);
const require = createRequire(`${home}/package.json`);
const sdk = require("@aws-sdk/client-dynamodb");
const lib = require("@aws-sdk/lib-dynamodb");

const client = new sdk.DynamoDBClient({
  endpoint: url,
  region: "us-east-1",
  credentials: { accessKeyId: "any", secretAccessKey: "any" },
  maxAttempts: 1,
});
const documents = lib.DynamoDBDocumentClient.from(client);
const TableName = "notes";
const seen = {};

async function errorOf(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    return error;
  }
}

await client.send(
  new sdk.CreateTableCommand({
    TableName,
    AttributeDefinitions: [
      { AttributeName: "pk", AttributeType: "S" },
      { AttributeName: "sk", AttributeType: "N" },
    ],
    KeySchema: [
      { AttributeName: "pk", KeyType: "HASH" },
      { AttributeName: "sk", KeyType: "RANGE" },
    ],
    BillingMode: "PAY_PER_REQUEST",
  }),
);
await sdk.waitUntilTableExists({ client, minDelay: 1, maxWaitTime: 20 }, { TableName });

const item = { pk: "a", sk: 1, text: "é", raw: new Uint8Array([0, 255]), tags: new Set(["x", "y"]), deep: { list: [1, null, true] } };
await documents.send(new lib.PutCommand({ TableName, Item: item }));
const got = await documents.send(new lib.GetCommand({ TableName, Key: { pk: "a", sk: 1 }, ConsistentRead: true }));
seen.item = { ...got.Item, raw: [...got.Item.raw], tags: [...got.Item.tags].sort() };

const puts = Array.from({ length: 24 }, (_, n) => ({ PutRequest: { Item: { pk: "b", sk: n } } }));
const batch = await documents.send(new lib.BatchWriteCommand({ RequestItems: { [TableName]: puts } }));
seen.unprocessed = batch.UnprocessedItems;

seen.pages = [];
const pages = lib.paginateQuery(
  { client: documents, pageSize: 10 },
  { TableName, KeyConditionExpression: "pk = :p", ExpressionAttributeValues: { ":p": "b" } },
);
for await (const page of pages) seen.pages.push(page.Items.map((one) => one.sk));

const failed = await errorOf(
  documents.send(
    new lib.PutCommand({
      TableName,
      Item: { pk: "a", sk: 1 },
      ConditionExpression: "attribute_not_exists(pk)",
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    }),
  ),
);
seen.failed = { isClass: failed instanceof sdk.ConditionalCheckFailedException, message: failed.message, text: failed.Item?.text.S };

const cancelled = await errorOf(
  documents.send(
    new lib.TransactWriteCommand({
      TransactItems: [
        { Put: { TableName, Item: { pk: "c", sk: 1 } } },
        { ConditionCheck: { TableName, Key: { pk: "a", sk: 2 }, ConditionExpression: "attribute_exists(pk)" } },
      ],
    }),
  ),
);
seen.cancelled = {
  isClass: cancelled instanceof sdk.TransactionCanceledException,
  codes: cancelled.CancellationReasons.map((reason) => reason.Code),
};
const both = await documents.send(
  new lib.TransactGetCommand({ TransactItems: ["a", "c"].map((pk) => ({ Get: { TableName, Key: { pk, sk: 1 } } })) }),
);
seen.both = both.Responses.map((response) => response.Item?.pk ?? null);

const absent = await errorOf(client.send(new sdk.DescribeTableCommand({ TableName: "absent" })));
seen.absent = absent instanceof sdk.ResourceNotFoundException;
const invalid = await errorOf(documents.send(new lib.GetCommand({ TableName, Key: { pk: "a" } })));
seen.invalid = { name: invalid.name, message: invalid.message, status: invalid.$metadata.httpStatusCode };
await client.send(new sdk.DeleteTableCommand({ TableName }));
console.log(JSON.stringify(seen));
