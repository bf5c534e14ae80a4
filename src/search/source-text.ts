import type { SourceEntry, SourceMessage } from '../derived/changed.js';

/** What a message says, as text: its name, its text parts, and the calls it makes with their arguments. */
export function textOfMessage({
  name,
  content,
  tool_calls,
}: Pick<SourceMessage, 'name' | 'content' | 'tool_calls'>): string {
  const calls = (tool_calls ?? []).flatMap(({ id: _, type: __, ...call }) => textsIn(call));
  return [...(name === null ? [] : [name]), ...textsOfContent(content), ...calls].join('\n');
}

/** What an entry of memory says: its key, and every text and name in its value. */
export const textOfEntry = ({ name, value }: Pick<SourceEntry, 'name' | 'value'>): string =>
  [...(name === null ? [] : [name]), ...textsIn(value)].join('\n');

/** Images and files are no text, whatever letters they are coded in. */
export function textsOfContent(content: unknown): string[] {
  if (typeof content === 'string') return [content];
  if (!Array.isArray(content)) return [];
  return content.map((part) => part?.text ?? part?.refusal).filter((text) => typeof text === 'string');
}

/** Deeper than anything that is taken as JSON itself; arguments of calls are JSON in a text, and may be anything. */
const DEEPEST = 64;

/** Every text in a value, with the names of its members. */
function textsIn(value: unknown, depth = 0): string[] {
  if (depth > DEEPEST) return [];
  if (typeof value === 'string') return jsonIn(value, depth) ?? [value];
  if (typeof value === 'number' || typeof value === 'boolean') return [String(value)];
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((held) => textsIn(held, depth + 1));
  return Object.entries(value).flatMap(([member, held]) => [member, ...textsIn(held, depth + 1)]);
}

function jsonIn(text: string, depth: number): string[] | null {
  if (!/^\s*[{[]/.test(text)) return null;
  try {
    return textsIn(JSON.parse(text), depth + 1);
  } catch {
    return null;
  }
}
