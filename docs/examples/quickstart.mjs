// Collect a fee through Bursar: init, redirect, process, details. Needs Node 18 or newer and no package.

import { createHash, createHmac, randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const PORTAL = process.env.PORTAL_URL ?? 'http://127.0.0.1:8080';
const { AWS_ACCESS_KEY_ID: KEY_ID, AWS_SECRET_ACCESS_KEY: SECRET } = process.env;
const RETRY = [409, 429, 502, 503, 504];
const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();

// Return the headers of a request that is signed with AWS Signature Version 4. The path has no query.
function signed(method, url, body) {
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const scope = `${date.slice(0, 8)}/us-east-1/execute-api/aws4_request`;
  const canonical = [method, url.pathname, '', `host:${url.host}`, `x-amz-date:${date}`, '', 'host;x-amz-date', sha256(body)];
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical.join('\n'))].join('\n');
  const key = scope.split('/').reduce(hmac, `AWS4${SECRET}`);
  const credential = `Credential=${KEY_ID}/${scope}, SignedHeaders=host;x-amz-date`;
  const signature = hmac(key, toSign).toString('hex');
  return { 'x-amz-date': date, authorization: `AWS4-HMAC-SHA256 ${credential}, Signature=${signature}` };
}

// Send a signed request. Return the status and the JSON of the answer, of an error too.
async function call(method, path, content) {
  const url = new URL(PORTAL + path);
  const body = content === undefined ? '' : JSON.stringify(content);
  const headers = { 'content-type': 'application/json', ...signed(method, url, body) };
  const answer = await fetch(url, { method, headers, body: body || undefined });
  return [answer.status, await answer.json()];
}

const order = {
  transactionReferenceId: randomUUID(), // names what is owed: store it before the first call
  fee: 'PETITION_FILING_FEE',
  urlSuccess: 'https://client.example/paid',
  urlCancel: 'https://client.example/cancelled',
  metadata: { docketNumber: '123-26' },
};
let [status, started] = await call('POST', '/init', order);
if (status !== 200) throw new Error(`init: ${started.code}: ${started.message}`);
console.log('Send the payer to', started.paymentRedirect);
const terminal = createInterface({ input: process.stdin });
await terminal.question('Press Enter when the payer is back. ');
terminal.close();

let payment;
[status, payment] = await call('POST', '/process', { token: started.token });
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
