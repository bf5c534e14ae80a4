import type { Outage } from '../common/outage.js';
import { openRedis } from '../redis/open-redis.js';
import { type Connection, type Listener, QUEUE, QUEUE_OPTIONS } from './queue.contract.js';

/** BullMQ on Redis. Redis may be away now, or go away at any time: both clients go on trying by themselves. */
export async function connectRedis(
  url: string,
  listener: Listener | null,
  outage: Outage,
): Promise<Connection> {
  // read when first needed: the start does not wait for half a second of code
  const { Queue, Worker } = await import('bullmq');
  // BullMQ asks for this of a connection that waits
  const waiting = { enableOfflineQueue: true, maxRetriesPerRequest: null };
  // together, since both wait for the same import: were it to fail for the second alone, the first would be left trying for ever
  const [producer, consumer] = await Promise.all([
    openRedis(url, outage),
    listener && openRedis(url, outage, waiting),
  ]);
  producer.on('ready', () => outage.end());

  const queue = new Queue<string>(QUEUE, { ...QUEUE_OPTIONS, connection: producer });
  queue.on('error', (error) => outage.begin(error));
  const worker =
    listener &&
    new Worker<string>(QUEUE, (job) => listener.wake(job.data), {
      connection: consumer!,
      concurrency: listener.concurrency,
    });
  worker?.on('error', (error) => outage.begin(error));

  return {
    add: async (jobId) => {
      // BullMQ would wait for the first connection, and the caller with it
      if (producer.status === 'ready') await queue.add('run', jobId);
    },
    ping: () => producer.ping(),
    close: async () => {
      const closed = Promise.allSettled([worker?.close(true), queue.close()]);
      consumer?.disconnect();
      producer.disconnect();
      await closed;
    },
  };
}
