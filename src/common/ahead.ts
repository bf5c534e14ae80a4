/** The same, in order; each is asked for while the one before is in use. */
export async function* ahead<T>(items: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  const source = items[Symbol.asyncIterator]();
  try {
    for (let coming = source.next(); ; ) {
      const { done, value } = await coming;
      if (done) return;
      coming = source.next();
      // it is awaited in the next turn, if that comes
      coming.catch(() => undefined);
      yield value;
    }
  } finally {
    await source.return?.();
  }
}
