import { z } from 'zod';
import { jsonObject } from '../http/schemas.js';
import { pointId, showPointId } from '../vectors/point-id.js';
import { showShape, vectors } from '../vectors/shape.js';
import type { Found, Point } from '../vectors/vector-store.js';
import type { Collection } from './collection.entity.js';
import { putCollectionBody } from './collections.schemas.js';

/** A vector collection as an export carries it. */
export const collectionRecord = z
  .strictObject({
    type: z.literal('collection'),
    vectors,
    payload_indexes: putCollectionBody.shape.payload_indexes,
  })
  .required();
export type CollectionRecord = z.output<typeof collectionRecord>;

/** 32-bit floats, little-endian, in base64: exact, and read ten times as fast as digits. Or the numbers themselves. */
const floats = z.union([
  z.string().transform((text, ctx) => {
    const bytes = Buffer.from(text, 'base64');
    if (bytes.length === 0 || bytes.length % 4 !== 0 || bytes.length !== bytesIn(text))
      ctx.addIssue('must be 32-bit floats in base64');
    return unpack(bytes);
  }),
  z.array(z.number()),
]);

/** What base64 of this length holds; Node passes over what is none, and then there is less. */
const bytesIn = (text: string) =>
  (text.length / 4) * 3 - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);

/** Points that were written to the store itself may have a larger payload than the API takes. */
const PAYLOAD_KIB = 4096;

/** A point as an export carries it. */
export const pointRecord = z.strictObject({
  type: z.literal('point'),
  id: pointId,
  vector: z.union([floats, z.record(z.string(), floats)]),
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
  vectors: Array.isArray(vector) ? { '': vector } : vector,
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
