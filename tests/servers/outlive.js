'use strict';

// Loaded with --require before kinesalite, which ends when a client goes away in the midst of a
// request: it throws the error of a connection.  A service would not notice.
process.on('uncaughtException', (error) => {
  console.error(error);
  if (!['ECONNRESET', 'EPIPE'].includes(error.code)) process.exit(1);
});
