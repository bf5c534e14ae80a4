import type { Outage } from '../../common/outage.js';
import { openRedis } from '../../redis/open-redis.js';
import { DEAD_MS, RECONNECT_MS } from '../bus.contract.js';

export interface Publication {
  channel: string;
  text: string;
}

/** Redis, as a place where others listen. */
export interface Channels {
  /** Whether it can be reached, as far as is known. */
  isOpen(): boolean;
  /** In this order. @throws when Redis does not take all of it now: some of it may have been published */
  publish(publications: Publication[]): Promise<void>;
  close(): void;
}

export async function openChannels(url: string, outage: Outage): Promise<Channels> {
  const client = await openRedis(url, outage, {
    ...{ commandTimeout: DEAD_MS, socketTimeout: DEAD_MS, retryStrategy: () => RECONNECT_MS },
    // what could not be published is read again, by whoever publishes then: sent by itself later, it would come between
    autoResendUnfulfilledCommands: false,
  });
  client.on('ready', () => outage.end());
  return {
    isOpen: () => client.status === 'ready',
    publish: async (publications) => {
      const pipeline = client.pipeline();
      for (const { channel, text } of publications) pipeline.publish(channel, text);
      for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
    },
    close: () => client.disconnect(),
  };
}
