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

/** Every text in a value, with the names of its members. Arguments of calls are JSON in a text. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [...(jsonIn(value) ?? [value])];
  if (typeof value === 'number' || typeof value === 'boolean') return [String(value)];
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(textsIn);
  return Object.entries(value).flatMap(([member, held]) => [member, ...textsIn(held)]);
}

function jsonIn(text: string): string[] | null {
  if (!/^\s*[{[]/.test(text)) return null;
  try {
    return textsIn(JSON.parse(text));
  } catch {
    return null;
  }
}
