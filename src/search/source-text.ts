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

/** More values than that are data, not anything said. */
const MOST = 50_000;

/**
 * Every text in a value, with the names of its members, in their order. Arguments of calls are JSON in a text, nested without
 * end if somebody wants it so: walked through without calling itself, and each value once.
 */
function textsIn(given: unknown): string[] {
  const texts: string[] = [];
  const left: unknown[] = [parsed(given)];
  while (left.length > 0 && texts.length < MOST) {
    const value = left.pop();
    if (typeof value === 'string') texts.push(value);
    else if (typeof value === 'number' || typeof value === 'boolean') texts.push(String(value));
    else if (Array.isArray(value)) for (let i = value.length - 1; i >= 0; i--) left.push(parsed(value[i]));
    else if (value !== null)
      for (const [member, held] of Object.entries(value as object).reverse()) left.push(parsed(held), member);
  }
  return texts;
}

/** What a text says as JSON, if it is that. */
function parsed(value: unknown): unknown {
  if (typeof value !== 'string' || !/^\s*[{[]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
