import { setTimeout } from 'node:timers/promises';
import { createApp } from '../../src/app.js';
import { loadConfig } from '../../src/config/config.js';
import { createLog } from '../../src/http/log.js';
import { Api } from '../setup/api.js';
import { createDatabase } from '../setup/database.js';
import { eventually } from '../setup/eventually.js';
import { startProxy } from '../setup/pg-proxy.js';

test('1,000 appends make 1,000 round trips', async () => {
  const database = await createDatabase();
  const proxy = await startProxy(database.url);
  const config = loadConfig(
    // what workers ask for on their own is not a request's
    { LOG_LEVEL: 'silent', ROLE: 'api' },
    '/nonexistent',
  );
  const app = await createApp(config, createLog(config), proxy.url);
  await app.listen(0, '127.0.0.1');
  const api = new Api(await app.getUrl()).as('alice');
  const trips = async (work: () => Promise<unknown>) => {
    const before = proxy.count();
    await work();
    return proxy.count() - before;
  };

  await eventually(
    () => trips(() => setTimeout(300)), // until the queue of jobs is connected
    (made) => made === 0,
  );
  await api.post('/sessions', { session_id: 'one' });
  await api.post('/sessions/one/messages', { role: 'user', content: 'the first makes the title' });
  const appends = await trips(async () => {
    for (let i = 0; i < 1000; i++) {
      const body =
        i % 10 === 0
          ? {
              messages: [
                { role: 'assistant', tool_calls: [{ id: `c${i}` }] },
                { role: 'tool', tool_call_id: `c${i}`, content: 'r' },
              ],
            }
          : { role: 'user', content: `${i}` };
      expect(
        (await api.post('/sessions/one/messages', body, i % 2 ? { 'idempotency-key': `k${i}` } : {})).status,
      ).toBe(201);
    }
  });
  expect(appends).toBe(1000);
  const share = (user_ids: string[], role = 'viewer') => api.post('/sessions/one/share', { user_ids, role });
  const others = {
    create: await trips(() => api.post('/sessions', { session_id: 'two' })),
    get: await trips(() => api.get('/sessions/one')),
    'list sessions': await trips(() => api.get('/sessions')),
    'list messages': await trips(() => api.get('/sessions/one/messages')),
    'get message': await trips(() => api.get('/sessions/one/messages/none')),
    patch: await trips(() => api.patch('/sessions/one', { context: { a: 1 } })),
    'share with 100': await trips(() => share(Array.from({ length: 100 }, (_, n) => `user-${n}`))),
    'share with one': await trips(() => share(['user-0'], 'editor')),
    collaborators: await trips(() => api.get('/sessions/one/collaborators')),
    transfer: await trips(() => api.post('/sessions/two/transfer', { user_id: 'bob' })),
    'replayed append': await trips(() =>
      api.post('/sessions/one/messages', { role: 'user', content: '1' }, { 'idempotency-key': 'k1' }),
    ),
  };
  expect(others).toMatchObject({
    create: 1,
    get: 1,
    'list sessions': 1,
    'list messages': 1,
    collaborators: 1,
  });
  expect(others['share with 100']).toBe(others['share with one']);
  console.log(`1,000 appends: ${appends} round trips; ${JSON.stringify(others)}`);
  await app.close();
  await proxy.close();
  await database.drop();
});
