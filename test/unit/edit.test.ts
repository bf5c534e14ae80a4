import { DomainError } from '../../src/common/errors.js';
import { eventsOf, permissionFor, planEdit } from '../../src/sessions/edit.js';
import type { SessionRow } from '../../src/sessions/session.view.js';
import { NOW } from '../../src/sessions/sessions.repository.js';
import type { EditSession } from '../../src/sessions/sessions.schemas.js';

const TIME = new Date('2026-01-01T00:00:00.000Z');

const row = (changes: Partial<SessionRow> = {}): SessionRow =>
  ({
    key: 1,
    id: 's',
    user_id: 'u',
    agent_id: 'a',
    client_id: null,
    session_type: 'conversation',
    runtime_backend: 'unknown',
    state: 'active',
    status: 'active',
    role: 'owner',
    archived_at: null,
    deleted_at: null,
    legal_hold: false,
    title: '',
    description: null,
    tags: ['x'],
    context: { a: 1, b: { c: 1 } },
    metadata: {},
    configuration: {},
    conversation_data: {},
    runtime_metadata: {},
    checkpoint: { a: 1 },
    checkpoint_n: 4,
    timeout_minutes: null,
    version: 1,
    created_at: TIME,
    ...changes,
  }) as SessionRow;

const plan = (input: EditSession, merge = true, changes: Partial<SessionRow> = {}) =>
  planEdit(row(changes), input, merge);

describe('an edit', () => {
  it.each<[string, EditSession]>([
    ['nothing', {}],
    [
      'what is so already',
      { title: null, tags: ['x'], context: { a: 1 }, status: 'active', legal_hold: false },
    ],
    ['undefined', { title: undefined, status: undefined }],
  ])('of %s changes nothing', (_, input) => {
    expect(plan(input)).toEqual({ session: {}, details: {}, updates: [], status: 'active' });
  });

  it('sorts the members into the two rows, and names them', () => {
    const { session, details, updates } = plan({
      title: 'T',
      description: 'd',
      session_type: 't',
      tags: [],
      client_id: 'c',
      agent_id: null,
      runtime_backend: 'local',
      timeout_minutes: 5,
    });
    expect(session).toEqual({
      session_type: 't',
      client_id: 'c',
      agent_id: null,
      runtime_backend: 'local',
      timeout_minutes: 5,
      title_seq: 0,
    });
    expect(details).toEqual({ title: 'T', description: 'd', tags: [] });
    expect([...updates].sort()).toEqual(
      [
        'title',
        'description',
        'session_type',
        'tags',
        'client_id',
        'agent_id',
        'runtime_backend',
        'timeout_minutes',
      ].sort(),
    );
  });

  it('merges documents or replaces them, and always replaces a checkpoint', () => {
    const input = { context: { b: { d: 2 } }, checkpoint: { b: 2 } };
    const saved = { checkpoint: { b: 2 }, checkpoint_n: 5 };
    expect(plan(input, true).details).toEqual({ context: { a: 1, b: { c: 1, d: 2 } }, ...saved });
    expect(plan(input, false).details).toEqual({ ...input, ...saved });
    expect(plan({ checkpoint: null }).details).toEqual({ checkpoint: null });
  });

  it('checks the size of what comes out', () => {
    const half = 'x'.repeat(140 * 1024);
    const refused = (work: () => unknown) => {
      try {
        work();
      } catch (error) {
        return error;
      }
      return null;
    };
    const merged = refused(() => plan({ context: { y: half } }, true, { context: { x: half } }));
    expect(merged).toBeInstanceOf(DomainError);
    expect(merged).toMatchObject({ kind: 'too-large', code: 'too_large' });
    expect(refused(() => plan({ context: { y: half } }, false, { context: { x: half } }))).toBeNull();
    expect(refused(() => plan({ context: { x: null, y: half } }, true, { context: { x: half } }))).toBeNull();
    expect(refused(() => plan({ checkpoint: { x: 'x'.repeat(1024 * 1024) } }))).toMatchObject({
      code: 'too_large',
    });
  });

  it('of the title ends the making of titles', () => {
    expect(plan({ title: 'T' }).session.title_seq).toBe(0);
    expect(plan({ title: null }, true, { title: 'T' })).toMatchObject({
      session: { title_seq: 0 },
      details: { title: '' },
    });
    expect(plan({ tags: [] }).session.title_seq).toBeUndefined();
  });

  it('of the status changes the state, or archives over it', () => {
    expect(plan({ status: 'paused' })).toMatchObject({
      session: { state: 'paused', archived_at: null },
      status: 'paused',
    });
    expect(plan({ status: 'archived' }).session).toEqual({ archived_at: NOW });
    expect(
      plan({ status: 'active' }, true, { status: 'archived', state: 'completed', archived_at: TIME }),
    ).toMatchObject({
      session: { state: 'active', archived_at: null },
      status: 'active',
    });
    expect(() => plan({ status: 'paused' }, true, { status: 'completed', state: 'completed' })).toThrow(
      /completed/,
    );
  });
});

describe('the events of an edit', () => {
  const told = (input: EditSession, changes: Partial<SessionRow> = {}) =>
    eventsOf(row(changes), plan(input, true, changes));

  it('are one for fields, two when the state changed', () => {
    expect(told({ tags: [] })).toEqual([
      { type: 'session.updated', payload: { agent_id: 'a', status: 'active', updates: ['tags'] } },
    ]);
    expect(told({ tags: [], status: 'completed' })).toEqual([
      {
        type: 'session.updated',
        payload: { agent_id: 'a', status: 'completed', updates: ['tags', 'status'] },
      },
      { type: 'session.completed', payload: { agent_id: 'a', status: 'completed' } },
    ]);
  });

  it('name the agent it has afterwards', () => {
    expect(told({ agent_id: 'b' })[0]!.payload.agent_id).toBe('b');
    expect(told({ agent_id: null })[0]!.payload.agent_id).toBeNull();
  });
});

describe('the permission for an edit', () => {
  it.each<[EditSession, string]>([
    [{}, 'work'],
    [{ status: 'paused' }, 'work'],
    [{ status: 'completed' }, 'work'],
    [{ status: 'crashed', checkpoint: { a: 2 } }, 'work'],
    [{ checkpoint: null }, 'work'],
    [{ status: 'archived' }, 'manage'],
    [{ title: 'x' }, 'manage'],
    [{ title: undefined, status: 'paused' }, 'work'],
    [{ checkpoint: {}, tags: [] }, 'manage'],
    [{ metadata: {}, status: 'paused' }, 'manage'],
    [{ timeout_minutes: 5 }, 'manage'],
    [{ legal_hold: false }, 'serve'],
    [{ legal_hold: true, title: 'x' }, 'serve'],
  ])('%j is %s', (input, permission) => expect(permissionFor(row(), input)).toBe(permission));

  it('to bring back what was archived is a manager’s', () => {
    const archived = row({ status: 'archived', archived_at: TIME });
    expect(permissionFor(archived, { status: 'active' })).toBe('manage');
    expect(permissionFor(archived, { checkpoint: {} })).toBe('work');
  });
});
