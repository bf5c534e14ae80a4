import { Sweeps } from '../../src/jobs/sweeps.js';
import type { Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { eventually } from '../setup/eventually.js';
import { FakeModels, type Trouble } from '../setup/fake-models.js';
import { append, at, create, deriveAll, expectOk, fresh } from './support.js';

let models: FakeModels;
let app: TestApp;
let api: Api;
beforeAll(async () => {
  models = await FakeModels.start();
  app = await startApp({
    ...{ SUMMARIZER_URL: models.url, SUMMARIZER_MODEL: 'short-1', SUMMARIZER_API_KEY: 'sesame' },
    SUMMARIZE_AFTER_MESSAGES: '5',
  });
});
afterAll(async () => {
  await app.close();
  await models.close();
});
beforeEach(() => {
  api = app.api.as(fresh());
  models.troubles = [];
  models.prompts.length = 0;
  models.summarize = (prompt) =>
    `They spoke ${prompt.split('\n').filter((line) => /^\[\d+\]/.test(line)).length} times.`;
});

const talk = (id: string, from: number, count: number) =>
  append(api, id, {
    messages: Array.from({ length: count }, (_, n) => ({
      role: 'user',
      content: `Sentence number ${from + n}.`,
    })),
  });

const contextOf = async (id: string) =>
  expectOk(await api.post(at(id, '/context'), { max_tokens: 5000, strategy: 'summarize' }));

/** Everything is derived, and no job is left to do. */
async function settle(): Promise<void> {
  await deriveAll(app);
  await eventually(
    async () => {
      await app.app.get(Sweeps).run();
      const { rows } = await app.database.pool.query(
        `select count(*)::int from jobs where state in ('queued', 'running')`,
      );
      return rows[0].count;
    },
    (left) => left === 0,
  );
}

test('a model sums up the beginning, and what came since in the light of that', async () => {
  const { session_id: id } = await create(api);
  await talk(id, 1, 12);
  await settle();
  expect(models.prompts).toHaveLength(2);
  expect(models.prompts[0]).toContain('(none)');
  expect(models.prompts[0]).toContain('[5] user: Sentence number 5.');
  expect(models.prompts[1]).toContain('They spoke 5 times.');
  expect(models.prompts[1]).not.toContain('Sentence number 5.');
  const { summary } = await contextOf(id);
  expect(summary).toEqual({ text: 'They spoke 5 times.', from_seq: 1, to_seq: 10 });
  expect(expectOk(await api.get(at(id))).session_summary).toBe('They spoke 5 times.');
  await talk(id, 13, 3);
  await settle();
  expect(models.prompts).toHaveLength(3);
  expect((await contextOf(id)).summary.to_seq).toBe(15);
  const { rows } = await app.database.pool.query(
    `select y.written from summaries y join sessions s on s.key = y.session_key where s.id = $1`,
    [id],
  );
  expect(rows[0].written).toMatchObject({ to_seq: 15, redactions: 0, model: 'short-1' });
  expect(models.authorizations).toEqual(new Set(['Bearer sesame']));
});

test('what is redacted is gone from it at once, and it is made anew', async () => {
  models.summarize = (prompt) =>
    prompt.includes('Sentence number 3') ? 'It was about number 3.' : 'Nothing to hide.';
  const { session_id: id } = await create(api);
  await talk(id, 1, 5);
  await settle();
  expect((await contextOf(id)).summary.text).toBe('It was about number 3.');
  const { messages } = expectOk(await api.get(at(id, '/messages')));
  expectOk(await api.delete(at(id, `/messages/${messages[2].message_id}`)));
  expect(JSON.stringify(await contextOf(id))).not.toContain('number 3');
  expect(expectOk(await api.get(at(id))).session_summary).toBe('');
  await settle();
  expect((await contextOf(id)).summary.text).toBe('Nothing to hide.');
});

test('a message that is redacted while the model reads leaves nothing of it', async () => {
  models.summarize = (prompt) =>
    prompt.includes('Sentence number 3') ? 'It was about number 3.' : 'Nothing to hide.';
  const { session_id: id } = await create(api);
  await talk(id, 1, 5);
  models.delayMs = 300;
  const settled = settle();
  await eventually(
    async () => models.prompts.length,
    (count) => count > 0,
  );
  const { messages } = expectOk(await api.get(at(id, '/messages')));
  expectOk(await api.delete(at(id, `/messages/${messages[2].message_id}`)));
  models.delayMs = 0;
  await settled;
  expect(JSON.stringify(await contextOf(id))).not.toContain('number 3');
  expect(expectOk(await api.get(at(id))).session_summary).not.toContain('number 3');
  await settle();
  expect((await contextOf(id)).summary.text).toBe('Nothing to hide.');
});

const TROUBLES: [string, Trouble][] = [
  ['fails', { kind: 'status', status: 500 }],
  ['is too busy', { kind: 'status', status: 429, retryAfter: 1 }],
  ['cuts its answer', { kind: 'cut' }],
  ['answers no JSON', { kind: 'garbage', body: '<html>' }],
  ['answers nothing', { kind: 'garbage', body: '{"choices":[{"message":{"content":"  "}}]}' }],
];

test.each(TROUBLES)(
  'when the model %s, sentences of the messages serve, and it is asked again',
  async (_, trouble) => {
    models.troubles = [trouble];
    const { session_id: id } = await create(api);
    await talk(id, 1, 5);
    await deriveAll(app);
    await eventually(
      async () => (await contextOf(id)).summary,
      (summary) => summary !== null,
    );
    await settle();
    expect(models.troubles).toEqual([]);
    expect((await contextOf(id)).summary.text).toBe('They spoke 5 times.');
  },
);

test('one job at a time is at a session, and the service sees it', async () => {
  const { session_id: id } = await create(api);
  models.delayMs = 200;
  await talk(id, 1, 5);
  await deriveAll(app);
  await talk(id, 6, 5);
  await deriveAll(app);
  models.delayMs = 0;
  await settle();
  expect((await contextOf(id)).summary.to_seq).toBe(10);
  expect(models.prompts).toHaveLength(2);
  const { jobs } = expectOk(
    await app.api.service(SERVICE_KEY).get('/api/v1/jobs?kind=summarize&state=succeeded'),
  );
  expect(jobs[0]).toMatchObject({ kind: 'summarize', result: { to_seq: 10 } });
  expect(expectOk(await api.get('/api/v1/jobs')).jobs).toEqual([]);
});
