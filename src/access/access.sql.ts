/**
 * SQL for what a caller is to a session; null: he does not see it.
 * @param session alias of a row of `sessions`
 * @param user the parameter (text) with the user's name, null for a service
 */
export const roleIn = (session: string, user: string) => `
  case
    when ${user}::text is null then 'service'
    when ${session}.user_id = ${user} then 'owner'
    else (select member.role from members member
          where member.session_key = ${session}.key and member.user_id = ${user})
  end`;

/**
 * …for a statement that may wait for the session's row. It reads members as they were before the wait; `sharing` counts
 * every change of them, and if it has risen meanwhile this is null: whoever finds no row looks again.
 */
export const roleHeld = (session: string, user: string) => `
  case when ${isUnmoved(session, user)} then ${roleIn(session, user)} end`;

/** SQL for: what `roleIn` says of a row that was waited for still holds. */
export const isUnmoved = (session: string, user: string) => `
  case
    when ${user}::text is null or ${session}.user_id = ${user} then true
    else ${session}.sharing = (select before.sharing from sessions before where before.key = ${session}.key)
  end`;

/**
 * SQL for: a user gave the session away, and is still what that made him. Its owner did not ask for it, so it is not
 * taken for one of his own where none is named: else he might write where another reads.
 */
export const wasGiven = (session: string) =>
  `exists (select from members giver where giver.session_key = ${session}.key and giver.added_by = giver.user_id)`;

/** SQL for: the session was shared with this user. */
export const sharedWith = (session: string, user: string) =>
  `exists (select from members member where member.session_key = ${session}.key and member.user_id = ${user})`;
