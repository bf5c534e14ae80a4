/** SQL for: an entry has not expired. */
export const isLive = (e: string) => `(${e}.expires_at is null or ${e}.expires_at > clock_timestamp())`;
