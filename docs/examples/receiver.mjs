// Receive Bursar's webhooks: verify the signature, remember each id, answer 204. Needs Node 18 or newer and no package.
//
// WEBHOOK_SECRET='at least thirty-two characters' node receiver.mjs 9000

import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';

const SECRET = process.env.WEBHOOK_SECRET;
const AGE_MAX_S = 300;
const BODY_BYTES_MAX = 64 * 1024;
const seen = new Set(); // a real receiver stores the ids, in one transaction with what it does

// Return whether `header` is a signature of `body` that was made in the last five minutes.
function isGenuine(body, header) {
  const parts = Object.fromEntries(header.split(',').map((part) => part.split('=')));
  if (!/^\d{1,12}$/.test(parts.t ?? '') || Math.abs(Date.now() / 1000 - Number(parts.t)) > AGE_MAX_S) return false;
  const expected = createHmac('sha256', SECRET).update(`${parts.t}.`).update(body).digest('hex');
  const given = Buffer.from(parts.v1 ?? '');
  return given.length === expected.length && timingSafeEqual(given, Buffer.from(expected));
}

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const server = createServer(async (request, response) => {
  const body = await bodyOf(request);
  if (body === null || !isGenuine(body, request.headers['bursar-signature'] ?? '')) {
    response.writeHead(401).end();
    return;
  }
  const event = JSON.parse(body);
  if (!seen.has(event.id)) {
    seen.add(event.id);
    console.log(event.type, event.transactionReferenceId, event.toStatus);
  }
  response.writeHead(204).end();
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/`);
});
