// Collect a fee through Bursar: init, redirect, process, details. Needs Node 20 or newer, and npm install aws4fetch.

import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AwsClient } from 'aws4fetch';

const PORTAL = process.env.PORTAL_URL ?? 'http://127.0.0.1:8080';
const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = process.env;
const aws = new AwsClient({ accessKeyId, secretAccessKey, service: 'execute-api', region: 'us-east-1', retries: 0 });
const RETRY = [409, 429, 502, 503, 504];

// Send a signed request. Return the status and the JSON of the answer, of an error too.
async function call(method, path, content) {
  const headers = { 'content-type': 'application/json' };
  const answer = await aws.fetch(PORTAL + path, { method, headers, body: JSON.stringify(content) });
  return [answer.status, await answer.json()];
}

const order = {
  transactionReferenceId: randomUUID(), // names what is owed: store it before the first call
  fee: 'PETITION_FILING_FEE',
  urlSuccess: 'https://client.example/paid',
  urlCancel: 'https://client.example/cancelled',
  metadata: { docketNumber: '123-26' },
};
const [initStatus, started] = await call('POST', '/init', order);
if (initStatus !== 200) throw new Error(`init: ${started.code}: ${started.message}`);
console.log('Send the payer to', started.paymentRedirect);
const terminal = createInterface({ input: process.stdin });
await terminal.question('Press Enter when the payer is back. ');
terminal.close();

let [status, payment] = await call('POST', '/process', { token: started.token });
while (RETRY.includes(status)) { // process never charges twice, so it is safe to repeat; never start another payment
  console.log('process:', payment.code);
  await sleep(2000);
  [status, payment] = await call('POST', '/process', { token: started.token });
}
while (payment.paymentStatus === 'pending') { // a bank debit settles within days: ask seldom in production
  await sleep(2000);
  [status, payment] = await call('GET', `/details/${order.transactionReferenceId}`);
}
console.log('The payment is', payment.paymentStatus ?? payment.code);
