import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { SCOPES } from '../../src/common/caller.js';
import { newId } from '../../src/common/ids.js';
import type { Answer, Api } from '../setup/api.js';
import { SERVICE_KEY, startApp, type TestApp } from '../setup/app.js';
import { contract } from '../setup/contract.js';
import { FakeIssuer } from '../setup/fake-issuer.js';
import { type Cell, COLUMNS, type Column, type Entry, FIELDS, tableFor } from './access-matrix.table.js';
import { insertJob } from './support.js';

// biome-ignore lint/suspicious/noExplicitAny: the document is a plain JSON tree
type Tree = any;

interface DocumentedOperation {
  id: string;
  method: string;
  path: string;
  scope: string | null;
  fields: string[];
}

const operations: DocumentedOperation[] = Object.entries<Tree>(contract.paths).flatMap(([path, item]) =>
  Object.entries<Tree>(item).map(([method, operation]) => ({
    id: operation.operationId,
    method: method.toUpperCase(),
    path,
    scope: operation['x-scope'] ?? null,
    fields: Object.keys(operation.requestBody?.content['application/json'].schema.properties ?? {}),
  })),
);
const operationOf = (id: string) => operations.find((operation) => operation.id === id)!;

const table = tableFor((operation, field) => operationOf(operation).fields.includes(field));
/** Rows of the matrix; an entry whose operation is gone fails by the first test, not by each cell. */
const rows = table
  .filter(({ operation }) => operationOf(operation))
  .map((entry) => ({ ...entry, row: [entry.operation, entry.what].filter(Boolean).join(', ') }));

const keyWithout = (scope: string) => `key-without-${scope.replaceAll(':', '-')}-0123456789`;
const keyWithOnly = (scope: string) => `key-with-only-${scope.replaceAll(':', '-')}-0123456789`;
const SERVICE_API_KEYS = [
  `tests:${SERVICE_KEY}`,
  ...SCOPES.map(
    (scope, i) => `without-${i}[${SCOPES.filter((s) => s !== scope).join(' ')}]:${keyWithout(scope)}`,
  ),
  ...SCOPES.map((scope, i) => `only-${i}[${scope}]:${keyWithOnly(scope)}`),
].join(',');

/** How users come: through a gateway, or with tokens. */
const MODES = ['header', 'token'] as const;
type Mode = (typeof MODES)[number];

let service: TestApp;
let withTokens: TestApp;
let issuer: FakeIssuer;
beforeAll(async () => {
  issuer = await FakeIssuer.start();
  // nobody does the jobs that are here to be looked at
  const environment = { SERVICE_API_KEYS, ROLE: 'api' };
  service = await startApp(environment);
  withTokens = await startApp({ ...environment, ...issuer.environment }, service);
});
afterAll(async () => {
  await withTokens.close();
  await service.close();
  await issuer.close();
});

describe('the table', () => {
  test('has an entry for every operation of openapi.json, and none for others', () => {
    const documented = operations.map(({ id }) => id).sort();
    expect([...new Set(table.map(({ operation }) => operation))].sort()).toEqual(documented);
  });

  test.each(['patchSession', 'replaceSessionFields'])('has an entry for every member that %s takes', (id) => {
    const known = ['status', 'legal_hold', ...Object.keys(FIELDS)];
    expect(operationOf(id).fields.filter((field) => !known.includes(field))).toEqual([]);
  });

  test('knows every operation without a scope to be open to anyone, and no other', () => {
    const open = table.filter(({ least }) => least === 'anyone').map(({ operation }) => operation);
    expect(open.sort()).toEqual(
      operations
        .filter(({ scope }) => scope === null)
        .map(({ id }) => id)
        .sort(),
    );
  });
});

describe.each(rows)('$row (least: $least)', (entry) => {
  const { path } = operationOf(entry.operation);
  let standing: Cell;
  beforeAll(async () => {
    standing = await arrange(entry, ROLES);
  });

  test.each(COLUMNS)('%s, through a gateway and with a token', async (column) => {
    const expected = expectation(entry, path, column);
    for (const mode of MODES) {
      // what was refused, or only read, has changed nothing (`check`)
      const cell = changes(entry, expected) ? await arrange(entry, [column]) : standing;
      await check(entry, mode, column, calledBy(column, cell), expected);
    }
  });
});

async function check(entry: Entry, mode: Mode, column: Column, cell: Cell, expected: unknown): Promise<void> {
  const isSpent = changes(entry, expected);
  const before = isSpent ? null : await everythingAbout(cell);
  const answer = await ask(entry, cell, await as(mode, column, cell));
  expect([mode, outcome(answer)]).toEqual([mode, expected]);
  if (!isSpent) expect(await everythingAbout(cell)).toEqual(before);
  if (expected === 'allowed') {
    if (isStranger(column) && entry.least !== 'anyone') expect(answer.text).not.toContain(cell.session);
  } else if (expected === 404)
    expect(answer.body.code).toBe(entry.least === 'asker' ? 'job_not_found' : 'session_not_found');
}

describe.each(operations.filter(({ scope }) => scope !== null))(
  'a service key at $id',
  ({ id, scope, path }) => {
    const [entry] = rows.filter(({ operation }) => operation === id);
    if (!entry || scope === null) return;

    test(`without ${scope}, and with any other alone: 403, whomever it acts for`, async () => {
      const cell = await arrange(entry);
      const before = await everythingAbout(cell);
      const answer = await ask(entry, cell, service.api.service(keyWithout(scope)));
      expect(answer).toMatchObject({ status: 403, body: { code: 'forbidden' } });
      for (const other of SCOPES.filter((one) => one !== scope)) {
        const key = service.api.service(keyWithOnly(other));
        for (const api of [key, key.as(cell.owner)])
          expect([other, outcome(await ask(entry, cell, api))]).toEqual([other, 403]);
      }
      expect(await everythingAbout(cell)).toEqual(before);
    });

    test(`with ${scope} alone: allowed, and as the owner what he may`, async () => {
      const key = service.api.service(keyWithOnly(scope));
      const cell = await arrange(entry);
      expect(outcome(await ask(entry, cell, key))).toBe('allowed');
      const other = await arrange(entry);
      expect(outcome(await ask(entry, other, key.as(other.owner)))).toBe(expectation(entry, path, 'owner'));
    });
  },
);

/** What is refused, or only read, leaves everything as it was. */
const changes = ({ operation }: Entry, expected: unknown) =>
  expected === 'allowed' && operationOf(operation).method !== 'GET';

/** `allowed` for 2xx, so that a failing cell reads as the matrix does. */
const outcome = ({ status }: Answer) => (status >= 200 && status < 300 ? 'allowed' : status);

const isStranger = (column: Column) => column === 'stranger' || column === 'service as stranger';

const RANK: Column[] = ['viewer', 'editor', 'manager', 'owner', 'service'];

/** In its path, its query or its body: only such a one asks for the least role in it. */
const namesSession = (path: string, least: Entry['least']) =>
  path.includes('{session_id}') || ROLES_IN_SESSION.has(least);
const ROLES_IN_SESSION: ReadonlySet<Entry['least']> = new Set([
  'viewer',
  'editor',
  'manager',
  'owner',
] as const);

/** What the contract says of a cell. */
function expectation({ least }: Entry, path: string, column: Column): 'allowed' | 401 | 403 | 404 {
  if (least === 'anyone') return 'allowed';
  if (column === 'nobody') return 401;
  if (least === 'any caller') return 'allowed';
  if (least === 'named') return column === 'owner' || column === 'service' ? 'allowed' : 403;
  if (least === 'asker') return column === 'owner' || column === 'service' ? 'allowed' : 404;
  if (isStranger(column)) return namesSession(path, least) ? 404 : 403;
  return RANK.indexOf(column) >= RANK.indexOf(least) ? 'allowed' : 403;
}

let cells = 0;

const ROLES = ['viewer', 'editor', 'manager'];
const isOfTwo = ({ operation }: Entry) => ['compareSessions', 'mergeSessions'].includes(operation);

/** A session of its own, in the state that the entry asks for, shared with one user of each of these roles. */
async function arrange(entry: Entry, roles: readonly string[] = []): Promise<Cell> {
  cells++;
  const owner = `owner-${cells}`;
  const cell = {
    ...{ session: `cell-${cells}`, message: `message-${cells}`, job: newId() },
    ...{ owner, caller: owner },
  };
  const key = service.api.service(SERVICE_KEY);
  const at = `/api/v1/sessions/${cell.session}`;
  await ok(
    key.post('/api/v1/sessions', {
      session_id: cell.session,
      user_id: owner,
      title: 'A title',
      checkpoint: { step: 1 },
    }),
  );
  await ok(key.post(`${at}/messages`, { message_id: cell.message, role: 'user', content: 'Hello' }));
  if (isOfTwo(entry)) {
    await ok(key.post('/api/v1/sessions', { session_id: `${cell.session}-twin`, user_id: owner }));
  }
  for (const id of [cell.session, ...(isOfTwo(entry) ? [`${cell.session}-twin`] : [])]) {
    for (const [name, role] of membersOf(entry, roles))
      await ok(key.post(`/api/v1/sessions/${id}/share`, { user_ids: [name], role }));
  }
  if (entry.operation.includes('Memory')) {
    for (const place of [at, `/api/v1/users/${owner}`]) await ok(key.put(`${place}/memory/k`, { value: 1 }));
  }
  if (/Collection|Point/.test(entry.operation)) {
    await ok(key.put(`${at}/collection`, { vectors: { size: 2 } }));
    await ok(key.put(`${at}/points`, { points: [{ id: 7, vector: [1, 2] }] }));
  }
  if (entry.state === 'deleted') await ok(key.delete(at));
  else if (entry.state && entry.state !== 'active') await ok(key.patch(at, { status: entry.state }));
  if (entry.operation.endsWith('Job')) await insertJob(service.database, cell.job, owner, entry.jobState);
  return cell;
}

/** Who may be the caller, and where members are asked about, one of each role beside them. */
function membersOf({ operation }: Entry, roles: readonly string[]): [name: string, role: string][] {
  const others = operation === 'shareSession' || operation === 'unshareSession' ? ROLES : [];
  return [
    ...ROLES.filter((role) => roles.includes(role)).map((role): [string, string] => [
      `${role}-${cells}`,
      role,
    ]),
    ...others.map((role): [string, string] => [`other-${role}-${cells}`, role]),
  ];
}

/** The cell, called by this user of it. */
function calledBy(column: Column, cell: Cell): Cell {
  if (column === 'nobody' || column === 'service') return cell;
  const name = isStranger(column) ? 'stranger' : column;
  return { ...cell, caller: cell.owner.replace('owner', name) };
}

async function as(mode: Mode, column: Column, { caller, owner }: Cell): Promise<Api> {
  const { api } = mode === 'header' ? service : withTokens;
  if (column === 'service') return api.service(SERVICE_KEY);
  if (column === 'service as stranger') return api.service(SERVICE_KEY).as(caller);
  if (mode === 'header') return column === 'nobody' ? api : api.as(caller);
  // whom X-User-ID names must not matter
  const claiming = api.as(owner);
  if (column === 'nobody') return claiming;
  return claiming.with({ authorization: `Bearer ${await issuer.token(caller)}` });
}

function ask(entry: Entry, cell: Cell, api: Api) {
  const { method, path } = operationOf(entry.operation);
  const params: Record<string, string> = { session_id: cell.session, ...entry.params?.(cell) };
  const filled = path.replace(/\{([^}]+)\}/g, (_, name: string) => encodeURIComponent(params[name]!));
  const query = entry.query ? `?${new URLSearchParams(entry.query(cell))}` : '';
  return api.call(method, filled + query, { body: entry.body?.(cell) });
}

async function ok(answer: ReturnType<Api['get']>): Promise<void> {
  expect(outcome(await answer)).toBe('allowed');
}

/** The rows of the cell's session, and how many sessions its users have. */
async function everythingAbout({ session, owner, caller }: Cell) {
  const { rows } = await service.database.pool.query(
    `select to_jsonb(s) as session, to_jsonb(d) as details,
       (select json_agg(m order by m.seq) from messages m where m.session_key = s.key) as messages,
       (select count(*) from checkpoints c where c.session_key = s.key) as checkpoints,
       (select count(*) from events e where e.aggregate_key = s.key) as events,
       (select json_agg(e order by e.key) from memory_entries e
        where e.space_key in (s.key, (select key from users u where u.id = $2))) as memory,
       (select json_agg(c order by c.name) from collections c where c.session_key = s.key) as collections,
       (select count(*) from vector_points p join vector_spaces v on v.key = p.space_key join collections c on c.name = v.name
        where c.session_key = s.key) as points,
       (select json_agg(m order by m.user_id) from members m where m.session_key = s.key) as members,
       (select json_agg(t) from session_stats t where t.session_key = s.key) as stats,
       (select json_agg(r) from model_reports r where r.session_key = s.key) as reports,
       (select json_agg(j) from jobs j where j.user_id = $2) as jobs,
       (select json_agg(p order by p.user_id) from retention_policies p where p.user_id in ('', $2)) as policies,
       (select count(*) from sessions o where o.user_id in ($2, $3)) as sessions
     from sessions s join session_details d using (key) where s.id = $1`,
    [session, owner, caller],
  );
  expect(rows).toHaveLength(1);
  return rows[0];
}
