import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';

/** Top to bottom; what stands in one row are neighbours, which do not import each other. */
const FLOORS = [
  ['main.ts', 'recount.ts', 'reindex.ts'],
  ['command.ts'],
  ['app.ts'],
  ['app.module.ts'],
  ['operations'],
  ['retention', 'restructure', 'transfer'],
  ['context'],
  ['collections', 'feed', 'search', 'stats'],
  ['derived'],
  ['messages', 'memory', 'collaboration'],
  ['sessions'],
  ['access'],
  ['jobs'],
  ['events', 'idempotency', 'limits', 'models', 'vectors'],
  ['database', 'redis'],
  ['http'],
  ['config'],
  ['common'],
];

/** Who may take what is another room's inside, and why. */
const EXCEPTIONS: [importer: RegExp, imported: RegExp, reason: string][] = [
  [
    /^retention\/(purge\.service|erasure)/,
    /\.repository$/,
    'the purge and the erasure ask each room for its own rows',
  ],
  [
    /^restructure\//,
    /-copies\.repository$/,
    'what is made out of others asks each room to copy its own rows',
  ],
  [/^restructure\/merge\./, /^access\/members\.repository$/, 'a merge unites collaborators'],
  [
    /^transfer\/parts\//,
    /-transfer\.repository$|^collections\/collection\.entity$/,
    'an export asks each room for its own rows, an import gives them to it',
  ],
  [/^feed\/feed\.schemas/, /^events\/event\.entity$/, 'an event is read as it is stored'],
];

const files = walk('src');

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? walk(join(folder, entry.name))
      : entry.name.endsWith('.ts')
        ? [join(folder, entry.name)]
        : [],
  );
}

const textOf = (file: string) => readFileSync(file, 'utf8');
const nameOf = (file: string) =>
  relative('src', file)
    .split(sep)
    .join('/')
    .replace(/\.(js|ts)$/, '');

const edges = files.flatMap((file) =>
  [...textOf(file).matchAll(/(?:from|import)\s*\(?'([^']+)'/g)].map(([, target]) => ({
    file: nameOf(file),
    target: target!.startsWith('.') ? nameOf(normalize(join(dirname(file), target!))) : target!,
    isLocal: target!.startsWith('.'),
  })),
);
const local = edges.filter(({ isLocal, target }) => isLocal && !target.startsWith('..'));

const roomOf = (name: string) => (name.includes('/') ? name.split('/')[0]! : `${name}.ts`);
const floorOf = (name: string) => FLOORS.findIndex((rooms) => rooms.includes(roomOf(name)));
const say = ({ file, target }: { file: string; target: string }) => `${file} → ${target}`;

test('every file stands on a floor', () => {
  expect(files.map(nameOf).filter((name) => floorOf(name) < 0)).toEqual([]);
  expect(local.length).toBeGreaterThan(200);
});

test('imports point down, and none between neighbours', () => {
  const faults = local.filter(
    ({ file, target }) => roomOf(file) !== roomOf(target) && floorOf(file) >= floorOf(target),
  );
  expect(faults.map(say)).toEqual([]);
});

test('there are no circles', () => {
  const graph = new Map<string, string[]>();
  for (const { file, target } of local) graph.set(file, [...(graph.get(file) ?? []), target]);
  const done = new Set<string>();
  const visit = (name: string, path: string[]): string | null => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name].join(' → ');
    if (done.has(name)) return null;
    const circle = (graph.get(name) ?? []).map((next) => visit(next, [...path, name])).find(Boolean);
    done.add(name);
    return circle ?? null;
  };
  expect([...graph.keys()].map((name) => visit(name, [])).filter(Boolean)).toEqual([]);
});

test('a room keeps its repositories and entities to itself', () => {
  const faults = local.filter(
    ({ file, target }) =>
      roomOf(file) !== roomOf(target) &&
      /\.(repository|entity|controller)$/.test(target) &&
      !EXCEPTIONS.some(([importer, imported]) => importer.test(file) && imported.test(target)),
  );
  expect(faults.map(say)).toEqual([]);
});

test('no barrels: no file that only passes on', () => {
  const barrels = files.filter((file) => {
    const lines = textOf(file)
      .split('\n')
      .filter((line) => line.trim() && !/^\s*(\/\/|\/?\*)/.test(line));
    return /(^|\/)index\.ts$/.test(file) || lines.every((line) => /^(export|import)\b.*from/.test(line));
  });
  expect(barrels).toEqual([]);
});

const importersOf = (pattern: RegExp) => [
  ...new Set(edges.filter(({ target }) => pattern.test(target)).map(({ file }) => file)),
];

test('vendors are known where they belong', () => {
  expect(importersOf(/^pg$/).filter((file) => !/^database\//.test(file))).toEqual([]);
  const typeorm = importersOf(/^typeorm/).filter((file) => !/^database\/|\.entity$/.test(file));
  expect(typeorm).toEqual([]);
  const fastify = importersOf(/^(fastify|@nestjs\/platform-fastify)$/).filter(
    (file) => !/^http\/|^operations\/|\.controller$|\.filter$|^main$|^app$|^command$/.test(file),
  );
  expect(fastify).toEqual([]);
  expect(importersOf(/^bullmq/).filter((file) => !/^jobs\//.test(file))).toEqual([]);
  expect(importersOf(/^ioredis/).filter((file) => !/^redis\/|\.redis$/.test(file))).toEqual([]);
  expect(importersOf(/^jose/).filter((file) => !/^http\//.test(file))).toEqual([]);
  expect(importersOf(/^@qdrant\//).filter((file) => !/^vectors\/backends\//.test(file))).toEqual([]);
});

test('services and repositories know no transport', () => {
  const faults = local.filter(
    ({ file, target }) =>
      /\.(service|repository)$/.test(file) && target.startsWith('http/') && target !== 'http/log',
  );
  expect(faults.map(say)).toEqual([]);
});

test('only config/ reads the environment', () => {
  const readers = files.filter((file) => /process\.env\b/.test(textOf(file))).map(nameOf);
  expect(readers.filter((name) => !name.startsWith('config/'))).toEqual([]);
});

test('common/ has no Nest and does no I/O', () => {
  const faults = edges.filter(
    ({ file, target }) => file.startsWith('common/') && /^@nestjs|^node:(fs|net|http)/.test(target),
  );
  expect(faults.map(say)).toEqual([]);
});

test('files stay small', () => {
  const long = files.filter((file) => textOf(file).split('\n').length > 250);
  expect(long).toEqual([]);
});
