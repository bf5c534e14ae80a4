// The main job, over HTTP, against a running `npm start`: get or create a session, a turn with tool calls, the
// history page by page, and going on from a second client. Prints what is stored. Run it again, also after the
// service was killed: it goes on with what is there.
import assert from 'node:assert/strict';

const base = process.env.SESSION_SERVICE_URL ?? 'http://127.0.0.1:8002';
const patient = process.env.PATIENT ?? 'patient-123';

async function call(method, path, body, headers = {}) {
  const response = await fetch(`${base}/api/v1${path}`, {
    method,
    headers: { 'x-user-id': patient, 'content-type': 'application/json', ...headers },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  assert(response.ok, `${method} ${path} → ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

const session = await call('POST', '/sessions', {
  session_id: `${patient}:appointments`,
  client_id: 'phone',
  if_exists: 'return',
  metadata: { clinic: 'north' },
});
console.log(`session ${session.session_id}: ${session.message_count} messages, "${session.title ?? ''}"`);

const { messages: recent } = await call(
  'GET',
  `/sessions/${session.session_id}/messages?order=desc&limit=20`,
);
console.log(`the prompt would be built from the newest ${recent.length}`);

const turn = session.message_count / 4 + 1;
const callId = `call_${turn}`;
const stored = await call(
  'POST',
  `/sessions/${session.session_id}/messages`,
  {
    expected_seq: session.message_count,
    messages: [
      { role: 'user', content: `When is my appointment? (turn ${turn})` },
      {
        role: 'assistant',
        tool_calls: [
          {
            id: callId,
            type: 'function',
            function: { name: 'check_appointment', arguments: `{"user_id":"${patient}"}` },
          },
        ],
      },
      { role: 'tool', tool_call_id: callId, content: '{"time":"2pm","status":"confirmed"}' },
      {
        role: 'assistant',
        content: 'Your appointment is at 2pm.',
        model: 'gpt-4o',
        tokens_used: 57,
        cost_usd: 0.00031,
      },
    ],
  },
  { 'idempotency-key': `turn-${turn}` },
);
console.log(`stored turn ${turn}: seq ${stored.messages[0].seq} to ${stored.message_count}`);

const history = [];
for (let cursor = ''; ; ) {
  const page = await call(
    'GET',
    `/sessions/${session.session_id}/messages?limit=3${cursor && `&cursor=${cursor}`}`,
  );
  history.push(...page.messages);
  if (!page.has_more) break;
  cursor = page.next_cursor;
}
assert.deepEqual(
  history.map((m) => m.seq),
  history.map((_, i) => i + 1),
);
for (const m of history) {
  const text = m.tool_calls ? `calls ${m.tool_calls[0].function.name} (${m.tool_calls[0].id})` : m.content;
  console.log(
    `  ${String(m.seq).padStart(3)} ${m.role.padEnd(9)} ${text}${m.tool_call_seq ? ` (answers ${m.tool_call_seq})` : ''}`,
  );
}

const resumed = await call('POST', '/sessions/resume', { client_id: 'phone' });
assert.equal(resumed.session_id, session.session_id);
assert.equal(resumed.message_count, history.length);
console.log(
  `resumed by a second client: ${resumed.session_id}, ${resumed.status}, ${resumed.message_count} messages, ` +
    `${resumed.total_tokens} tokens, $${resumed.total_cost}, title "${resumed.title}"`,
);
