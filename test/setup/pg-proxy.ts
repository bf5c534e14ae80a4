import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Proxy {
  /** the database's address, by way of the proxy */
  url: string;
  /** how often PostgreSQL has said it is ready for the next query: round trips */
  count(): number;
  /** sends new connections to another server from now on */
  retarget(databaseUrl: string): void;
  /** ends all connections that are open */
  cut(): void;
  close(): Promise<void>;
}

/** A loopback proxy in front of PostgreSQL that counts round trips by reading its messages. */
export async function startProxy(databaseUrl: string): Promise<Proxy> {
  let target = new URL(databaseUrl);
  let roundTrips = 0;
  const clients = new Set<Socket>();
  const cut = () => {
    for (const client of clients) client.destroy();
  };
  const server: Server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    client.setNoDelay().pipe(upstream.setNoDelay());
    upstream.pipe(client);
    // nobody waits for what is told to other processes
    let isBus = false;
    client.once('data', (startup: Buffer) => {
      isBus = startup.includes('session-service events');
    });
    upstream.on(
      'data',
      countReady(() => {
        if (!isBus) roundTrips++;
      }),
    );
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    clients.add(client);
    client.on('close', () => {
      clients.delete(client);
      upstream.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as { port: number }).port);
  return {
    url: url.href,
    count: () => roundTrips,
    retarget: (to) => {
      target = new URL(to);
    },
    cut,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // one that came when its process ended, and has no server behind it yet, would stay
        cut();
      }),
  };
}

/** Walks the backend's messages: a type byte, a length of four bytes that counts itself, the rest. */
function countReady(found: () => void): (chunk: Buffer) => void {
  let pending = Buffer.alloc(0);
  return (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 5) {
      const size = 1 + pending.readUInt32BE(1);
      if (pending.length < size) return;
      if (pending[0] === 'Z'.charCodeAt(0)) found();
      pending = pending.subarray(size);
    }
  };
}
