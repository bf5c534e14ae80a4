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

/** SQL for: the session was shared with this user. */
export const sharedWith = (session: string, user: string) =>
  `exists (select from members member where member.session_key = ${session}.key and member.user_id = ${user})`;
