// Reads deliveries, one JSON object a line, and judges them as a receiver in JavaScript would. Prints the number of those that
// are right, or the first that is not and why.
const crypto = require('crypto');
const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean);
const hmac = (secret, text, encoding) => crypto.createHmac('sha256', secret).update(text, 'utf8').digest(encoding);
const refuse = (index, why) => {
  console.log(`delivery ${index}: ${why}`);
  process.exit(1);
};
lines.forEach((line, index) => {
  const { secret, body, akeneo, id, timestamp, standard } = JSON.parse(line);
  const event = JSON.parse(body);
  if (JSON.stringify(event) !== body) refuse(index, `is not byte-stable: ${body}`);
  if (akeneo !== hmac(secret, JSON.stringify(event), 'hex')) refuse(index, 'X-AKENEO-SIGNATURE-PRIMARY is wrong');
  if (id !== event.id) refuse(index, 'webhook-id is not the id of the event');
  if (standard !== `v1,${hmac(secret, `${id}.${timestamp}.${body}`, 'base64')}`) refuse(index, 'webhook-signature is wrong');
});
console.log(lines.length);
