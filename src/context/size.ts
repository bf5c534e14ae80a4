/** What something takes, or what is left to be taken. Bytes are counted of messages and passages only. */
export interface Size {
  tokens: number;
  bytes?: number;
}

export type Left = Required<Size>;

export const fits = (item: Size, left: Left) => item.tokens <= left.tokens && (item.bytes ?? 0) <= left.bytes;

export const sumOf = (items: Size[]): Left => ({
  tokens: items.reduce((sum, { tokens }) => sum + tokens, 0),
  bytes: items.reduce((sum, { bytes = 0 }) => sum + bytes, 0),
});

export const without = (left: Left, items: Size[]): Left => {
  const { tokens, bytes } = sumOf(items);
  return { tokens: left.tokens - tokens, bytes: left.bytes - bytes };
};

export const quarterOf = ({ tokens, bytes }: Left): Left => ({
  tokens: Math.trunc(tokens / 4),
  bytes: Math.trunc(bytes / 4),
});

/** Takes what fits, in the order given, and passes over what does not. */
export function takeFitting<T extends Size>(items: T[], whole: Left): T[] {
  let left = whole;
  return items.filter((item) => {
    const isTaken = fits(item, left);
    if (isTaken) left = without(left, [item]);
    return isTaken;
  });
}
