/** Takes what the queue tells of, so many at once; answers when that job is over, or at once if there is nothing to do. */
export interface Listener {
  concurrency: number;
  wake(jobId: string): Promise<void>;
}

/** A queue that is connected, or tries to be. */
export interface Connection {
  /** @throws when the queue does not take it now */
  add(jobId: string): Promise<void>;
  /** @throws when the queue does not answer */
  ping(): Promise<unknown>;
  close(): Promise<void>;
}

/** The one queue; its entries hold the id of a job and nothing else. */
export const QUEUE = 'session-service';

/** What is taken, or failed to be, leaves nothing behind. */
export const QUEUE_OPTIONS = {
  defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  streams: { events: { maxLen: 100 } },
};
