import { z } from 'zod';
import { jsonObject } from '../http/schemas.js';
import { pointId, showPointId } from '../vectors/point-id.js';
import { MAX_NAMES, showShape, vectors } from '../vectors/shape.js';
import type { Found, Point } from '../vectors/vector-store.js';
import type { Collection } from './collection.entity.js';
import { putCollectionBody } from './collections.schemas.js';
import { isNumbers } from './points.schemas.js';

/** A vector collection as an export carries it. */
export const collectionRecord = z
  .strictObject({
    type: z.literal('collection'),
    vectors,
    payload_indexes: putCollectionBody.shape.payload_indexes,
  })
  .required();
export type CollectionRecord = z.output<typeof collectionRecord>;

/** 32-bit floats, little-endian, in base64: exact, and read ten times as fast as digits; or the numbers themselves. null: neither. */
function floatsIn(given: unknown): number[] | null {
  if (typeof given !== 'string') return isNumbers(given) ? given : null;
  const bytes = Buffer.from(given, 'base64');
  const isWhole = bytes.length > 0 && bytes.length % 4 === 0 && bytes.length === bytesIn(given);
  return isWhole ? unpack(bytes) : null;
}

/** In one step: a schema for each number would tell each that is wrong. */
function vectorsIn(given: unknown): Record<string, number[]> | null {
  const one = floatsIn(given);
  if (one) return { '': one };
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return null;
  const named = Object.entries(given);
  if (named.length === 0 || named.length > MAX_NAMES) return null;
  const all = named.map(([name, vector]) => [name, floatsIn(vector)] as const);
  return all.every(([, vector]) => vector) ? Object.fromEntries(all as [string, number[]][]) : null;
}

/** What base64 of this length holds; Node passes over what is none, and then there is less. */
const bytesIn = (text: string) =>
  (text.length / 4) * 3 - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);

/** Points that were written to the store itself may have a larger payload than the API takes. */
const PAYLOAD_KIB = 4096;

/** A point as an export carries it. */
export const pointRecord = z.strictObject({
  type: z.literal('point'),
  id: pointId,
  vector: z.unknown().transform((given, ctx) => {
    const vectors = vectorsIn(given);
    if (!vectors)
      ctx.addIssue('must be 32-bit floats in base64, or numbers; of several vectors, by their names');
    return vectors ?? {};
  }),
  payload: jsonObject(PAYLOAD_KIB),
});
export type PointRecord = z.output<typeof pointRecord>;

export const toCollectionRecord = ({ shape, payload_indexes }: Collection) => ({
  type: 'collection',
  vectors: showShape(shape),
  payload_indexes,
});

export const toPointRecord = ({ id, vectors: given = {}, payload }: Found) => ({
  type: 'point',
  id: showPointId(id),
  vector: given[''] ? pack(given['']) : packAll(given),
  payload: payload ?? {},
});

export const toPoint = ({ id, vector, payload }: PointRecord): Point => ({
  id,
  vectors: vector,
  payload,
});

const packAll = (vectors: Record<string, number[]>) =>
  Object.fromEntries(Object.entries(vectors).map(([name, vector]) => [name, pack(vector)]));

/** Three times as fast as `Array.from`, which asks an iterator for each. */
function numbersOf(floats: Float32Array): number[] {
  const numbers = new Array<number>(floats.length);
  for (let at = 0; at < floats.length; at++) numbers[at] = floats[at]!;
  return numbers;
}

/** Machines that Node runs on are little-endian. */
const pack = (vector: number[]): string => Buffer.from(Float32Array.from(vector).buffer).toString('base64');

function unpack(bytes: Buffer): number[] {
  const whole = new Float32Array(Math.floor(bytes.length / 4));
  new Uint8Array(whole.buffer).set(bytes.subarray(0, whole.byteLength));
  return numbersOf(whole);
}
