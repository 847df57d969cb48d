'use strict';

// Loaded with --require before servers that know no host option and so listen on every interface.
const net = require('net');

const HOST = '127.0.0.1';
const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (...args) {
  const [first, ...rest] = args;
  const callbacks = rest.filter((arg) => typeof arg === 'function');
  if (first && typeof first === 'object' && first.port !== undefined) {
    return listen.call(this, { ...first, host: HOST }, ...callbacks);
  }
  if (['number', 'string'].includes(typeof first) && Number.isInteger(Number(first))) {
    return listen.call(this, { port: Number(first), host: HOST }, ...callbacks);
  }
  return listen.apply(this, args);
};
