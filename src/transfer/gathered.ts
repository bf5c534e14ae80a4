const FIRST_BYTES = 64 * 1024;

/** Bytes that come in pieces, held in one place: as pieces, those of one byte would take hundreds of times as much memory. */
export class Gathered {
  private bytes = Buffer.alloc(0);
  length = 0;

  add(piece: Buffer): void {
    const needed = this.length + piece.length;
    if (needed > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(FIRST_BYTES, this.bytes.length * 2, needed));
      this.bytes.copy(larger, 0, 0, this.length);
      this.bytes = larger;
    }
    piece.copy(this.bytes, this.length);
    this.length = needed;
  }

  /** All there is; it begins anew. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.length);
    this.bytes = Buffer.alloc(0);
    this.length = 0;
    return taken;
  }
}
