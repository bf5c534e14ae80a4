import type { FoundMessage } from '../messages/message.view.js';

/** What a part counts that is not text, such as an image: nobody knows before a model has seen it. */
const NO_TEXT = 1_000;

/** What is counted of a message: its texts, and what stands for the rest. */
export interface Measured {
  text: string;
  more: number;
}

/** A message as a model reads it: name, content, and its calls as JSON. */
export function measured({ name, content, tool_calls }: FoundMessage): Measured {
  const parts = Array.isArray(content) ? content : [content];
  const texts = parts.map(textOf);
  const calls = tool_calls === null ? [] : [JSON.stringify(tool_calls)];
  return {
    text: [name, ...texts, ...calls].filter((text) => text !== null).join('\n'),
    more: NO_TEXT * parts.filter((part, index) => part !== null && texts[index] === null).length,
  };
}

const TEXTS: Record<string, string> = {
  text: 'text',
  input_text: 'text',
  output_text: 'text',
  refusal: 'refusal',
};

/** Of a part of the content; null: it is no text, whatever it has beside. */
function textOf(part: unknown): string | null {
  if (typeof part === 'string') return part;
  const { type, ...members } = (part ?? {}) as Record<string, unknown>;
  const text = members[TEXTS[String(type)] ?? ''];
  return typeof text === 'string' ? text : null;
}
