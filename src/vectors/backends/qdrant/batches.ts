import { tooLarge } from '../../errors.js';
import type { Point } from '../../vector-store.js';
import { encode } from './exact-json.js';
import type { Place } from './layout.js';

/** Qdrant takes 32 MB at once; what is smaller holds others up for less long. */
const BATCH_BYTES = 8 * 1024 * 1024;
const MAX_BYTES = 32 * 1024 * 1024 - 1024;
const BATCH_POINTS = 1000;

/** Bodies of upserts that hold all the points, none of them longer than Qdrant takes. */
export function batches(points: Point[], place: Place): string[] {
  const bodies: string[] = [];
  let batch: string[] = [];
  let bytes = 0;
  for (const point of points.map((one) => encodePoint(one, place))) {
    const size = Buffer.byteLength(point);
    if (size > MAX_BYTES)
      throw tooLarge(`A point has ${size} bytes as JSON, at most ${MAX_BYTES} are taken.`);
    if (batch.length === BATCH_POINTS || (batch.length > 0 && bytes + size > BATCH_BYTES)) {
      bodies.push(bodyOf(batch));
      batch = [];
      bytes = 0;
    }
    batch.push(point);
    bytes += size + 1;
  }
  if (batch.length > 0) bodies.push(bodyOf(batch));
  return bodies;
}

const bodyOf = (batch: string[]) => `{"points":[${batch.join(',')}]}`;

function encodePoint(point: Point, place: Place): string {
  const vector = point.vectors[''] ?? point.vectors;
  return encode({ id: place.id(point.id), vector, payload: place.toPayload(point) });
}
