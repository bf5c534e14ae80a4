import type { Answer, Api } from '../setup/api.js';
import { startApp, type TestApp } from '../setup/app.js';
import { append, at, atOnce, create, eventsOf, expectOk, expectRefused, fresh, read } from './support.js';

let app: TestApp;
let api: Api;
let id: string;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());
beforeEach(async () => {
  api = app.api.as(fresh());
  id = (await create(api)).session_id;
});

const post = (body: unknown, headers?: Record<string, string>): Promise<Answer> =>
  api.post(at(id, '/messages'), body, headers);
const calls = (...ids: string[]) => ({
  role: 'assistant',
  tool_calls: ids.map((call) => ({ id: call, type: 'function', function: { name: 'f', arguments: '{}' } })),
});
const answers = (tool_call_id: string, content = 'result') => ({ role: 'tool', tool_call_id, content });
const text = (content = 'x') => ({ role: 'user', content });
const history = async () => expectOk(await api.get(at(id, '/messages?limit=1000'))).messages;

/** seq → the seq it answers, for the tool messages of the session. */
const links = async (): Promise<Record<number, number>> =>
  Object.fromEntries(
    (await history())
      .filter((m: { role: string }) => m.role === 'tool')
      .map((m: { seq: number; tool_call_seq: number }) => [m.seq, m.tool_call_seq]),
  );

describe('tool calls', () => {
  it.each([
    [
      'as models make them',
      { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"b":1,"a":"é"}' } },
    ],
    ['with id last', { type: 'function', function: { name: 'f', arguments: '' }, id: 'call_1' }],
    [
      'with arguments as JSON',
      { z: 0, id: 'toolu_1', input: { z: [1, { y: null, a: true }], a: 1.5, '': {} }, name: 'f' },
    ],
    ['with an id of 255 characters', { id: 'é'.repeat(255) }],
    ['with an odd id', { id: ' a"b\\c/d ' }],
  ])('are given back byte for byte: %s', async (_, call) => {
    const expected = JSON.stringify([call]);
    const body = { role: 'assistant', tool_calls: [call], message_id: 'm' };
    expect(JSON.stringify((await append(api, id, body)).tool_calls)).toBe(expected);
    expect(JSON.stringify((await history())[0].tool_calls)).toBe(expected);
    expect((await api.get(at(id, '/messages/m'))).text).toContain(`"tool_calls":${expected}`);
    expect(JSON.stringify(expectOk(await post(body)).tool_calls)).toBe(expected);
    expect(await append(api, id, answers(call.id))).toMatchObject({
      tool_call_id: call.id,
      tool_call_seq: 1,
    });
  });

  it('come with many ids', async () => {
    const ids = Array.from({ length: 100 }, (_, i) => `c${i}`);
    await append(api, id, calls(...ids));
    const { messages } = await append(api, id, { messages: [...ids].reverse().map((call) => answers(call)) });
    expect(messages.every((m: { tool_call_seq: number }) => m.tool_call_seq === 1)).toBe(true);
  });
});

describe('an answer is linked to its call', () => {
  it('across requests', async () => {
    await append(api, id, text());
    const call = await append(api, id, calls('c'));
    expect(call.tool_call_seq).toBeNull();
    const answer = await append(api, id, answers('c'));
    expect(answer).toMatchObject({ seq: 3, tool_call_id: 'c', tool_call_seq: 2 });
    expect(expectOk(await api.get(at(id, `/messages/${answer.message_id}`))).tool_call_seq).toBe(2);
  });

  it('within a batch', async () => {
    await append(api, id, text());
    const { messages } = await append(api, id, {
      messages: [calls('a', 'b'), answers('b'), answers('a'), text(), calls('c'), answers('c')],
    });
    expect(messages.map((m: { tool_call_seq: number }) => m.tool_call_seq)).toEqual([
      null,
      2,
      2,
      null,
      null,
      6,
    ]);
    expect(await links()).toEqual({ 3: 2, 4: 2, 7: 6 });
  });

  it('with calls of the batch and of earlier requests mixed', async () => {
    await append(api, id, calls('old', 'both'));
    await append(api, id, { messages: [answers('old'), calls('new'), answers('both'), answers('new')] });
    expect(await links()).toEqual({ 2: 1, 4: 1, 5: 3 });
  });

  it('the newest one with that id', async () => {
    await append(api, id, calls('c'));
    await append(api, id, text());
    await append(api, id, calls('c'));
    expect(await append(api, id, answers('c'))).toMatchObject({ tool_call_seq: 3 });
    expectRefused(await post(answers('c')), 409, 'tool_call_answered');
  });

  it('the newest one before it in a batch', async () => {
    await append(api, id, calls('c'));
    await append(api, id, { messages: [answers('c'), calls('c'), answers('c'), calls('c')] });
    expect(await links()).toEqual({ 2: 1, 4: 3 });
    expect(await append(api, id, answers('c'))).toMatchObject({ tool_call_seq: 5 });
  });

  it('one of its own session', async () => {
    const other = await create(api);
    await append(api, other.session_id, calls('c'));
    expectRefused(await post(answers('c')), 422, 'unknown_tool_call');
    await append(api, id, calls('c'));
    await append(api, id, answers('c'));
    expect((await append(api, other.session_id, answers('c'))).tool_call_seq).toBe(1);
  });
});

describe('a call is answered once', () => {
  it('in separate requests', async () => {
    await append(api, id, calls('a', 'b'));
    await append(api, id, answers('a'));
    const again = await post(answers('a', 'other'));
    expectRefused(again, 409, 'tool_call_answered');
    expect(again.body.tool_call_id).toBe('a');
    await append(api, id, answers('b'));
  });

  it.each([
    ['twice in a batch', [calls('c')], [answers('c', '1'), answers('c', '2')]],
    ['twice in a batch with its call', [], [calls('c'), answers('c', '1'), answers('c', '2')]],
    ['again in a batch', [calls('c'), answers('c')], [text(), answers('c')]],
    ['again beside another', [calls('c', 'd'), answers('c')], [answers('d'), answers('c')]],
  ])('%s: nothing is left behind', async (_, before, messages) => {
    for (const message of before) await append(api, id, message);
    const [session, events] = [await read(api, id), await eventsOf(api, id)];
    const answer = await post({ messages });
    expectRefused(answer, 409, 'tool_call_answered');
    expect(answer.body.tool_call_id).toBe('c');
    expect(await read(api, id)).toEqual(session);
    expect(await eventsOf(api, id)).toEqual(events);
    expect(await history()).toHaveLength(before.length);
  });

  it('and its id may be used again afterwards', async () => {
    for (let round = 0; round < 4; round++) {
      await append(api, id, calls('c'));
      expect(await append(api, id, answers('c', `${round}`))).toMatchObject({ tool_call_seq: 2 * round + 1 });
      expectRefused(await post(answers('c')), 409, 'tool_call_answered');
    }
    await append(api, id, { messages: [calls('c'), answers('c'), calls('c'), answers('c')] });
    expect(await links()).toEqual({ 2: 1, 4: 3, 6: 5, 8: 7, 10: 9, 12: 11 });
  });

  it('also when the answer comes again: a replay', async () => {
    await append(api, id, calls('c', 'd'));
    const byId = { ...answers('c'), message_id: 'm' };
    const first = await append(api, id, byId);
    const again = await post(byId);
    expect([again.status, again.body]).toEqual([200, first]);
    const key = { 'idempotency-key': 'k' };
    const keyed = expectOk(await post(answers('d'), key), 201);
    expect(expectOk(await post(answers('d'), key), 200)).toEqual(keyed);
    expectRefused(await post({ ...answers('c'), message_id: 'other' }), 409, 'tool_call_answered');
    expectRefused(await post({ ...answers('d'), message_id: 'm' }), 409, 'message_id_conflict');
  });
});

describe('an unknown call', () => {
  it.each([
    ['there never was one', [], [answers('c')]],
    ['it comes later in the batch', [], [answers('c'), calls('c')]],
    ['another id was called', [calls('C', 'c ')], [answers('c')]],
    ['one of several is unknown', [calls('a')], [answers('a'), answers('c')]],
    ['it stands behind good messages', [], [text(), calls('a'), answers('a'), answers('c')]],
  ])('leaves nothing behind: %s', async (_, before, messages) => {
    for (const message of before) await append(api, id, message);
    const [session, events] = [await read(api, id), await eventsOf(api, id)];
    const answer = await post({ messages });
    expectRefused(answer, 422, 'unknown_tool_call');
    expect(answer.body.detail).toContain('c');
    expect(await read(api, id)).toEqual(session);
    expect(await eventsOf(api, id)).toEqual(events);
    expect(await history()).toHaveLength(before.length);
    const { rows } = await app.database.pool.query(
      'select call_id from tool_calls join sessions s on s.key = session_key where s.id = $1 order by 1',
      [id],
    );
    expect(rows.map((row) => row.call_id)).toEqual(
      before.flatMap((m) => m.tool_calls.map((c) => c.id)).sort(),
    );
  });

  it('is pointed to', async () => {
    const single = await post(answers('c'));
    expectRefused(single, 422, 'unknown_tool_call');
    expect(single.body.errors[0].pointer).toBe('/tool_call_id');
    const second = await post({ messages: [text(), answers('c')] });
    expectRefused(second, 422, 'unknown_tool_call');
    expect(second.body.errors[0].pointer).toBe('/messages/1/tool_call_id');
  });

  it('is told after the state and expected_seq', async () => {
    expectRefused(await post({ ...answers('c'), expected_seq: 5 }), 409, 'seq_moved');
    await api.post(at(id, '/complete'));
    expectRefused(await post(answers('c')), 409, 'session_not_open');
  });
});

describe('at the same moment', () => {
  it('two answers to one call: exactly one gets in, 50 times over', async () => {
    for (let round = 0; round < 50; round++) {
      await append(api, id, calls('c'));
      const both = await atOnce(2, (i) => post(answers('c', `${round}.${i}`)));
      expect(both.map((a) => a.status).sort()).toEqual([201, 409]);
      expectRefused(both.find((a) => a.status === 409)!, 409, 'tool_call_answered');
    }
    const linked = await links();
    expect(Object.entries(linked)).toHaveLength(50);
    for (const [seq, call] of Object.entries(linked)) expect(Number(seq)).toBe(call + 1);
    expect((await read(api, id)).message_count).toBe(100);
  });

  it('20 answers to one call: exactly one gets in', async () => {
    await append(api, id, calls('c'));
    const all = await atOnce(20, (i) =>
      post(i % 2 ? answers('c', `${i}`) : { messages: [text(), answers('c')] }),
    );
    expect(all.map((a) => a.status).sort()).toEqual([201, ...Array(19).fill(409)]);
  });

  it('answers to 20 calls: all get in', async () => {
    const ids = Array.from({ length: 20 }, (_, i) => `c${i}`);
    await append(api, id, calls(...ids));
    const all = await Promise.all(ids.map((call) => post(answers(call))));
    expect(all.map((a) => [a.status, a.body.tool_call_seq])).toEqual(Array(20).fill([201, 1]));
  });

  it('a call made again and its answer: the answer belongs to the newest call before it', async () => {
    for (let round = 0; round < 20; round++) {
      const session = await create(api);
      const messages = at(session.session_id, '/messages');
      await append(api, session.session_id, calls('c'));
      const [again, answer] = await Promise.all([
        api.post(messages, calls('c')),
        api.post(messages, answers('c')),
      ]);
      expect([again.status, answer.status]).toEqual([201, 201]);
      expect(answer.body.tool_call_seq).toBe(again.body.seq < answer.body.seq ? again.body.seq : 1);
    }
  });

  it('whole turns by many writers keep their links', async () => {
    const turn = (i: number) => ({
      messages: [calls(`own-${i}`, 'same'), answers('same'), answers(`own-${i}`)],
    });
    const all = await atOnce(20, (i) => post(turn(i)));
    expect(all.map((a) => a.status)).toEqual(Array(20).fill(201));
    for (const { body } of all) {
      const [call, ...results] = body.messages;
      expect(results.map((m: { tool_call_seq: number }) => m.tool_call_seq)).toEqual([call.seq, call.seq]);
    }
  });
});
