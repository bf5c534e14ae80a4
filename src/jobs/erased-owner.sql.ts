/**
 * SQL for what stands in the place of the owner of an erasure that has ended: he is not named any more, but who asks for the
 * receipt by its id and is him still gets it.
 * @param job alias of a row of `jobs`
 * @param user the parameter (text) with the user's name
 */
export const erasedOwner = (job: string, user: string) =>
  `'erased:' || encode(sha256(convert_to(${job}.job_id::text || ':' || ${user}, 'UTF8')), 'hex')`;

/** SQL for: it is this user's. */
export const isOwnedBy = (job: string, user: string) =>
  `(${job}.user_id = ${user} or (${job}.kind = 'erasure' and ${job}.user_id = ${erasedOwner(job, user)}))`;
