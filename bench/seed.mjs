// Sessions with messages, written straight into the tables.

/** Sessions `s-0…`, owned by `u-0…u-99` in turn, each with so many messages of about 500 bytes; and an empty `hot`. */
export async function seed(postgres, { sessions, messages }) {
  await postgres.query(`
    insert into sessions (id, user_id, session_type, runtime_backend, state, legal_hold, version, message_count,
      total_tokens, total_cost, last_call_seq, title_seq, event_seq, event_tx, auto_recover, created_at, last_activity_at)
    select case when i = ${sessions} then 'hot' else 's-' || i end, 'u-' || i % 100, 'conversation', 'unknown', 'active', false, 1,
      case when i = ${sessions} then 0 else ${messages} end, 0, 0, 0, 0, 0, 0, false,
      now() - interval '1 day', now() - (i || ' seconds')::interval
    from generate_series(0, ${sessions}) i`);
  await postgres.query(`
    insert into session_details (key, user_id, title, tags, metadata, context, configuration, conversation_data,
      runtime_metadata, session_summary, created_at, updated_at)
    select key, user_id, 'A title', '{a}', '{"a": 1}', '{}', '{}', '{}', '{}', '', created_at, created_at from sessions`);
  await addMessages(postgres, `id like 's-%'`, messages);
  await postgres.query('vacuum analyze sessions');
}

/** So many messages to each session that has none. */
export async function addMessages(postgres, which, messages) {
  await postgres.query(`
    insert into messages (session_key, seq, message_id, user_id, role, content, message_type, metadata, bytes, created_at)
    select s.key, n, gen_random_uuid()::text, s.user_id, case when n % 2 = 0 then 'assistant' else 'user' end,
      to_json(repeat('lorem ipsum ', 32)), 'chat', '{}', 390, now() - interval '1 day' + n * interval '1 millisecond'
    from sessions s, generate_series(1, ${messages}) n where ${which}`);
  await postgres.query('vacuum analyze messages');
}
