// The points of one space in memory, as they were at one revision.

const ROW_BYTES = 200;
/** How many times larger a parsed payload is than its text, roughly. */
const PARSED = 8;

export class SpaceCopy {
  revision = -1;
  ids = [];
  bytes = 0;
  #rows = new Map();
  #payloads = [];
  #sorted = null;
  #packed;

  constructor(shape) {
    this.vectors = Object.keys(shape)
      .sort()
      .map((name) => ({ name, ...shape[name], matrix: new Float32Array(0) }));
    const stride = 4 * this.vectors.reduce((sum, { size }) => sum + size, 0);
    this.#packed = Buffer.from(new ArrayBuffer(stride));
  }

  get count() {
    return this.ids.length;
  }

  /** Takes a row as PostgreSQL has it; one without a payload is of a deleted point. */
  take({ id, vectors, payload }) {
    if (payload === null) return this.#remove(id);
    let row = this.#rows.get(id);
    if (row === undefined) {
      row = this.count;
      this.#rows.set(id, row);
      this.ids.push(id);
      this.#sorted = null;
      this.bytes += ROW_BYTES;
    }
    this.bytes += sizeOf(payload) - sizeOf(this.#payloads[row]);
    this.#payloads[row] = payload;
    this.#setVectors(row, vectors);
  }

  /** `mayKeep(bytes)` says whether there is room to keep the parsed payload. */
  payload(row, mayKeep) {
    const stored = this.#payloads[row];
    if (typeof stored !== 'string') return stored.value;
    const value = JSON.parse(stored);
    const parsed = { value, bytes: PARSED * stored.length };
    if (mayKeep(parsed.bytes)) {
      this.#payloads[row] = parsed;
      this.bytes += parsed.bytes - sizeOf(stored);
    }
    return value;
  }

  /** The vectors of a row, by name; copies, so that they can be handed over. */
  vectorsOf(row) {
    const present = this.vectors.filter(({ matrix, size }) => !Number.isNaN(matrix[row * size]));
    return Object.fromEntries(
      present.map(({ name, matrix, size }) => [name, matrix.slice(row * size, (row + 1) * size)]),
    );
  }

  /** Rows in the order of their ids, those behind `after`. */
  rowsAfter(after) {
    this.#sorted ??= this.ids.map((_, row) => row).sort((a, b) => (this.ids[a] < this.ids[b] ? -1 : 1));
    let low = 0;
    for (let high = this.#sorted.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (this.ids[this.#sorted[middle]] > after) high = middle;
      else low = middle + 1;
    }
    return this.#sorted.slice(low);
  }

  #setVectors(row, base64) {
    this.#packed.write(base64, 'base64');
    const floats = new Float32Array(this.#packed.buffer);
    let at = 0;
    for (const vector of this.vectors) {
      const { size } = vector;
      if (vector.matrix.length < (row + 1) * size) this.#grow(vector, row + 1);
      vector.matrix.set(floats.subarray(at, at + size), row * size);
      at += size;
    }
  }

  #grow(vector, rows) {
    const grown = new Float32Array(Math.max(rows + 16, Math.ceil(rows * 1.25)) * vector.size);
    grown.set(vector.matrix);
    this.bytes += grown.byteLength - vector.matrix.byteLength;
    vector.matrix = grown;
  }

  /** The last row takes the place of the one that is gone. */
  #remove(id) {
    const row = this.#rows.get(id);
    if (row === undefined) return;
    this.#rows.delete(id);
    this.bytes -= ROW_BYTES + sizeOf(this.#payloads[row]);
    this.#sorted = null;
    const lastId = this.ids.pop();
    const lastPayload = this.#payloads.pop();
    if (lastId === id) return;
    this.#rows.set(lastId, row);
    this.ids[row] = lastId;
    this.#payloads[row] = lastPayload;
    for (const { matrix, size } of this.vectors)
      matrix.copyWithin(row * size, this.count * size, (this.count + 1) * size);
  }
}

const sizeOf = (payload) =>
  payload === undefined ? 0 : typeof payload === 'string' ? 2 * payload.length : payload.bytes;
