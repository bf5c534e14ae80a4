import { setTimeout as pause } from 'node:timers/promises';

/**
 * A function that asks for the work to be done: at once where it rests, else once more when it is done and so many
 * milliseconds have passed; however often it is asked for, never twice at a time. Every asking is followed by a whole
 * turn of the work that begins after it.
 * @param work must not throw
 */
export function paced(work: () => Promise<void>, ms: number): () => void {
  let isBusy = false;
  let isAsked = false;
  const turns = async () => {
    while (isAsked) {
      isAsked = false;
      await work();
      await pause(ms, null, { ref: false });
    }
    isBusy = false;
  };
  return () => {
    isAsked = true;
    if (isBusy) return;
    isBusy = true;
    void turns();
  };
}
