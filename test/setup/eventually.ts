/**
 * The stream of all sessions ends before the oldest transaction that runs, on the whole server; so what was just
 * written may take a moment to show.
 */
export async function eventually<T>(look: () => Promise<T>, isThere: (seen: T) => boolean): Promise<T> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const seen = await look();
    if (isThere(seen)) return seen;
    if (Date.now() > deadline)
      throw new Error(`not seen in 30 s; last: ${JSON.stringify(seen).slice(0, 1000)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
