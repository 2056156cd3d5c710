// A small TCP relay on Node.js, so on libuv: on Windows a completion port too.
//
//     node node_relay.js LISTEN_PORT UPSTREAM_PORT
'use strict';
const net = require('net');

const [listenPort, upstreamPort] = process.argv.slice(2).map(Number);
const host = '127.0.0.1';
const backlog = 4096;

function relay(client) {
  const upstream = net.connect({ host, port: upstreamPort, allowHalfOpen: true });
  client.setNoDelay(true);
  upstream.setNoDelay(true);
  // pipe() keeps a slow reader from being flooded and passes the FIN on.
  client.pipe(upstream);
  upstream.pipe(client);
  client.on('error', () => upstream.destroy());
  upstream.on('error', () => client.destroy());
}

net.createServer({ allowHalfOpen: true }, relay).listen({ host, port: listenPort, backlog });
