/** SQL text written once, run by name: each connection parses and plans it once. Without a name it is planned anew. */
export interface Statement {
  name?: string;
  text: string;
}

/** Names must be unique in the process; the text says what it does, its parameters are `$1…`. */
export const statement = (name: string, text: string): Statement => ({ name, text });
