import { openRedis } from '../../redis/open-redis.js';
import { type Bus, CHANNEL, DEAD_MS, type Ear, RECONNECT_MS } from '../bus.contract.js';

/** Pub/sub of Redis. It may be away now, or go away at any time: both clients go on trying by themselves. */
export async function connectRedis(url: string, ear: Ear): Promise<Bus> {
  const retryStrategy = () => RECONNECT_MS;
  const hearing = { enableOfflineQueue: true, maxRetriesPerRequest: null, autoResubscribe: false };
  // together, since both wait for the same import: were it to fail for the second alone, the first would be left trying for ever
  const [teller, hearer] = await Promise.all([
    openRedis(url, ear.outage, { socketTimeout: DEAD_MS, retryStrategy }),
    openRedis(url, ear.outage, { ...hearing, retryStrategy }),
  ]);

  // subscribed anew with each connection; what was told in between was missed
  hearer.on('ready', () => {
    hearer.subscribe(CHANNEL).then(
      () => {
        ear.outage.end();
        ear.hear();
      },
      (error) => ear.outage.begin(error),
    );
  });
  hearer.on('message', (_channel, who) => {
    if (who !== ear.name) ear.hear();
  });

  return {
    tell: async () => {
      await teller.publish(CHANNEL, ear.name);
    },
    close: async () => {
      hearer.disconnect();
      teller.disconnect();
    },
  };
}
