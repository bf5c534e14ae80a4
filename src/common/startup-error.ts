/**
 * Stops the start of the process. The message is one line for the operator: what is wrong and its cure;
 * `main.ts` prints it without a stack trace and exits with status 1.
 */
export class StartupError extends Error {
  override readonly name = 'StartupError';
}
