/**
 * A process that does nothing but hold an embedded PostgreSQL, to be killed by the tests. Its one argument is
 * JSON; it reports as JSON lines. `stop` on its standard input ends it in good order.
 */
import { startEmbeddedPostgres } from '../../../src/database/embedded/embedded-postgres.js';

const { letGo, ...options } = JSON.parse(process.argv[2] ?? '{}');
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const logAs = (level: string) => (o: object, msg: string) => say({ level, ...o, msg });
const log = { info: logAs('info'), warn: logAs('warn'), error: logAs('error') };

process.on('SIGINT', () => say({ interrupted: true }));
const begun = performance.now();
try {
  const server = await startEmbeddedPostgres({ servesAt: 'http://127.0.0.1:8002', ...options, log });
  say({ url: server.url, ms: Math.round(performance.now() - begun) });
  if (!letGo) {
    process.stdin.once('data', async () => {
      await Promise.all([server.stop(), server.stop()]);
      process.exit(0);
    });
  }
} catch (error) {
  const { name, message } = error as Error;
  say({ refused: message, name });
  process.exitCode = 1;
}
