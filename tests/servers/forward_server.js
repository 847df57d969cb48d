'use strict';

// The Forward receiver of @fluent-org/logger, writing one JSON line for each entry it takes.
// Options come as JSON in the first argument; NODE_PATH says where the package lies.
const fs = require('fs');
const { FluentServer } = require('@fluent-org/logger');

const options = JSON.parse(process.argv[2]);
const file = fs.openSync(options.entries, 'a');

const settings = { listenOptions: { host: '127.0.0.1', port: options.port } };
if (options.sharedKey) {
  settings.security = {
    serverHostname: options.hostname,
    sharedKey: options.sharedKey,
    authorize: Object.keys(options.users).length > 0,
    userDict: options.users,
  };
}
if (options.key) {
  settings.tlsOptions = {
    key: fs.readFileSync(options.key),
    cert: fs.readFileSync(options.certificate),
  };
}

function plain(name, value) {
  return value instanceof Uint8Array ? { base64: Buffer.from(value).toString('base64') } : value;
}

// All entries of a chunk arrive in one turn of the event loop and are written at its end.
let lines = [];

function flush() {
  const text = Buffer.from(lines.join(''));
  lines = [];
  for (let done = 0; done < text.length; ) done += fs.writeSync(file, text, done);
}

const server = new FluentServer(settings);
server.on('entry', (tag, time, record) => {
  const at = typeof time === 'number' ? [time, null] : [time.epoch, time.nano];
  lines.push(JSON.stringify([tag, ...at, record], plain) + '\n');
  if (lines.length === 1) setImmediate(flush);
});

let ready = false;
process.on('uncaughtException', (error) => {
  console.error(error);
  if (!ready) process.exit(1);
});
server.listen().then(() => {
  ready = true;
  console.log(`listening on ${server.port} since ${Date.now()}`);
});
process.on('SIGTERM', () => {
  flush();
  process.exit(0);
});
