// Runs in a thread of its own: exact search and filters over all points of a space.
import { parentPort, workerData } from 'node:worker_threads';
import { compileFilter } from './filter.mjs';
import { nearest } from './nearest.mjs';
import { SpaceCopies } from './space-copies.mjs';

const copies = new SpaceCopies(workerData);
const TASKS = { query, scan, match, count };

let turn = Promise.resolve();
/** One after another, so that a copy does not change under whoever reads it. */
parentPort.on('message', (message) => {
  turn = turn.then(() => answer(message));
});

async function answer({ id, until, call }) {
  if (Date.now() > until) return;
  try {
    parentPort.postMessage({ id, value: await run(call) });
  } catch (error) {
    parentPort.postMessage({ id, error });
  }
}

/** Null when there is no such space. */
async function run({ task, name, request }) {
  const copy = await copies.get(name);
  return copy && TASKS[task](copy, request);
}

const payloadOf = (copy, row) => copy.payload(row, copies.hasRoom);

function wanted(copy, filter) {
  if (!filter) return () => true;
  const holds = compileFilter(filter);
  return (row) => holds(payloadOf(copy, row), copy.ids[row]);
}

function found(copy, row, { payload, vectors }) {
  return {
    id: copy.ids[row],
    ...(payload && { payload: payloadOf(copy, row) }),
    ...(vectors && { vectors: copy.vectorsOf(row) }),
  };
}

function query(copy, request) {
  const { vector, using, filter, limit, scoreThreshold: threshold } = request;
  const space = copy.vectors.find(({ name }) => name === using);
  const isWanted = wanted(copy, filter);
  return nearest(space, copy.count, Float32Array.from(vector), { isWanted, limit, threshold }).map(
    ({ row, score }) => ({ ...found(copy, row, request), score }),
  );
}

/** One more than asked for, if there is one. */
function scan(copy, request) {
  const isWanted = wanted(copy, request.filter);
  const points = [];
  for (const row of copy.rowsAfter(request.after)) {
    if (!isWanted(row)) continue;
    points.push(found(copy, row, request));
    if (points.length > request.limit) break;
  }
  return points;
}

/** Ids of those that meet the filter, and the revision for which that is so. */
function match(copy, { filter }) {
  const isWanted = wanted(copy, filter);
  return { ids: copy.ids.filter((_, row) => isWanted(row)), revision: copy.revision };
}

function count(copy, request) {
  return match(copy, request).ids.length;
}
