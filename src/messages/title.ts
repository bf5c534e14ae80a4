const LONGEST = 80;

/** The text a title can be made from: the string, or the first text part; null when there is none. */
export function textOf(content: unknown): string | null {
  const text = typeof content === 'string' ? content : firstTextPart(content);
  return text === null || text.trim() === '' ? null : text;
}

function firstTextPart(content: unknown): string | null {
  if (!Array.isArray(content)) return null;
  const part = content.find((p) => p?.type === 'text' && typeof p.text === 'string' && p.text.trim() !== '');
  return part?.text ?? null;
}

/** A title from a message: its first sentence, at most 80 characters, cut at a word. */
export function makeTitle(text: string): string {
  const opening = wellFormed(text.trimStart().slice(0, 4 * LONGEST));
  const sentence = /^.*?(?:[.!?](?=\s|$)|[。！？]|$)/su.exec(opening.split(/[\r\n]/, 1)[0]!)![0];
  const title = sentence.replace(/\s+/g, ' ').trim();
  return title.length <= LONGEST ? title : cutAtWord(title);
}

function cutAtWord(text: string): string {
  const kept = wellFormed(text.slice(0, LONGEST));
  const space = kept.lastIndexOf(' ');
  const isWordEnd = text[kept.length] === ' ';
  return (isWordEnd || space < 1 ? kept : kept.slice(0, space)).trimEnd();
}

/** A cut may part a pair of surrogates: the half that is left is dropped. */
const wellFormed = (text: string) => (text.isWellFormed() ? text : text.slice(0, -1));
