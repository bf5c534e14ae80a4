// Exact search: every row is compared with the query.

const sum = (part) => (matrix, at, query) => {
  let total = 0;
  for (let i = 0; i < query.length; i++) total += part(matrix[at + i], query[i]);
  return total;
};
/** Four sums, none of which waits for another: by far the most is done here. */
function product(matrix, at, query) {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i + 3 < query.length; i += 4) {
    a += matrix[at + i] * query[i];
    b += matrix[at + i + 1] * query[i + 1];
    c += matrix[at + i + 2] * query[i + 2];
    d += matrix[at + i + 3] * query[i + 3];
  }
  for (; i < query.length; i++) a += matrix[at + i] * query[i];
  return a + b + c + d;
}
const squares = sum((a, b) => (a - b) * (a - b));

/** Vectors compared by cosine are stored with length 1. */
const SCORES = {
  cosine: product,
  dot: product,
  euclid: (matrix, at, query) => Math.sqrt(squares(matrix, at, query)),
  manhattan: sum((a, b) => Math.abs(a - b)),
};

/** The best rows of those for which `isWanted`, best first: `[{row, score}]`. A row that begins with NaN has no vector. */
export function nearest({ matrix, size, distance }, count, query, { isWanted, limit, threshold }) {
  const score = SCORES[distance];
  const sign = distance === 'cosine' || distance === 'dot' ? 1 : -1;
  const best = new Best(limit, threshold === undefined ? Number.NEGATIVE_INFINITY : threshold * sign);
  for (let row = 0; row < count; row++) {
    const at = row * size;
    if (Number.isNaN(matrix[at])) continue;
    const rank = score(matrix, at, query) * sign;
    if (best.takes(rank) && isWanted(row)) best.add(row, rank);
  }
  return best.sorted().map(({ row, rank }) => ({ row, score: rank * sign }));
}

/** The highest ranks so far, the lowest of them on top of a heap. */
class Best {
  #heap = [];

  constructor(limit, lowest) {
    this.limit = limit;
    this.lowest = lowest;
  }

  takes(rank) {
    if (this.#heap.length < this.limit) return rank >= this.lowest;
    return this.limit > 0 && rank > this.#heap[0].rank;
  }

  add(row, rank) {
    const heap = this.#heap;
    if (heap.length < this.limit) {
      heap.push({ row, rank });
      this.#up(heap.length - 1);
    } else {
      heap[0] = { row, rank };
      this.#down();
    }
  }

  sorted() {
    return this.#heap.sort((a, b) => b.rank - a.rank || a.row - b.row);
  }

  #up(at) {
    const heap = this.#heap;
    for (let parent = (at - 1) >> 1; at > 0 && heap[at].rank < heap[parent].rank; parent = (at - 1) >> 1) {
      [heap[at], heap[parent]] = [heap[parent], heap[at]];
      at = parent;
    }
  }

  #down() {
    const heap = this.#heap;
    for (let at = 0; ; ) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && heap[child].rank < heap[least].rank) least = child;
      }
      if (least === at) return;
      [heap[at], heap[least]] = [heap[least], heap[at]];
      at = least;
    }
  }
}
