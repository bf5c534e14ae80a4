import { z } from 'zod';

/**
 * The older names of members, from the five systems this service replaces: accepted and answered beside ours.
 * This file is the only place that knows them.
 */
const SESSION = {
  id: 'session_id',
  last_activity: 'last_activity_at',
  name: 'title',
  owner_id: 'user_id',
} as const;
const MESSAGE = { timestamp: 'created_at' } as const;

type Aliases = Record<string, string>;
type View = Record<string, unknown>;

/** Adds the older members to a session's answer. */
export const withOlderSessionNames = <V extends View>(view: V): V & View => withOlder(view, SESSION_PAIRS);

/** Adds the older members to a message's answer. */
export const withOlderMessageNames = <V extends View>(view: V): V & View => withOlder(view, MESSAGE_PAIRS);

const SESSION_PAIRS = Object.entries(SESSION);
const MESSAGE_PAIRS = Object.entries(MESSAGE);

/** Into the view itself: it was made to be sent, and a copy of every message of a page is dear. */
function withOlder<V extends View>(view: V, pairs: [older: string, ours: string][]): V & View {
  for (const [older, ours] of pairs) if (ours in view) (view as View)[older] = view[ours];
  return view;
}

/** The older members of a session's answer, for its schema. */
export const olderSessionFields = (shape: z.core.$ZodLooseShape) => deprecatedFields(shape, SESSION);
export const olderMessageFields = (shape: z.core.$ZodLooseShape) => deprecatedFields(shape, MESSAGE);

function deprecatedFields(shape: z.core.$ZodLooseShape, aliases: Aliases): Record<string, z.ZodType> {
  return Object.fromEntries(
    Object.entries(aliases)
      .filter(([, ours]) => ours in shape)
      .map(([older, ours]) => [
        older,
        (shape[ours] as z.ZodType).meta({ deprecated: true, description: `older name of \`${ours}\`` }),
      ]),
  );
}

/** The older names that are read-only in a session's body. */
export const OLDER_READ_ONLY = ['last_activity'];

/**
 * A session's body or query that also takes the older names; one given under both names must say the same.
 * The schema it returns documents them as deprecated and yields ours alone.
 */
export function acceptOlderNames<Shape extends z.ZodRawShape>(shape: Shape) {
  const older = deprecatedFields(shape, SESSION);
  return z.strictObject({ ...shape, ...older } as Shape).transform((input, ctx) => {
    const ours: Record<string, unknown> = { ...input };
    for (const [alias, name] of Object.entries(SESSION)) {
      if (!(alias in older) || ours[alias] === undefined) continue;
      if (ours[name] !== undefined && ours[name] !== ours[alias]) {
        ctx.addIssue({ code: 'custom', path: [alias], message: `differs from ${name}` });
      }
      ours[name] = ours[alias];
      delete ours[alias];
    }
    return ours as typeof input;
  });
}
