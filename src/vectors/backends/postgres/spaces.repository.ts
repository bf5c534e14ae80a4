import type { Database } from '../../../database/database.js';
import { statement } from '../../../database/statement.js';
import type { Shape } from '../../vector-store.js';

/** Points removed in one transaction. */
const BATCH = 2000;
/** Names read at once. */
const PAGE = 1000;

/** Rows of vector spaces. */
export class SpacesRepository {
  constructor(private readonly database: Database) {}

  /** Makes the space unless there is one of that name. */
  async insert(name: string, shape: Shape): Promise<void> {
    await this.database.query(INSERT, [name, JSON.stringify(shape)]);
  }

  async findShape(name: string): Promise<Shape | null> {
    const [row] = await this.database.query<{ shape: Shape }>(FIND_SHAPE, [name]);
    return row?.shape ?? null;
  }

  /** How many points it has; null: there is no such space. */
  async countPoints(name: string): Promise<number | null> {
    const [row] = await this.database.query<{ points: number }>(COUNT_POINTS, [name]);
    return row?.points ?? null;
  }

  async *names(prefix: string): AsyncIterable<string> {
    for (let after = ''; ; ) {
      const page = await this.database.query<{ name: string }>(NAMES, [prefix, after, PAGE]);
      for (const { name } of page) yield name;
      if (page.length < PAGE) return;
      after = page.at(-1)!.name;
    }
  }

  /** From here on there is no such space; its points are still to be removed. */
  async dropName(name: string): Promise<void> {
    await this.database.query(DROP_NAME, [name]);
  }

  /** Removes what dropped spaces have left, also those that a process died over, in short transactions. */
  async removeDropped(): Promise<void> {
    for (let at: Removed | null = { key: 0, id: '' }; at; ) {
      const from: Removed = at;
      at = await this.database.run(() => this.removeBatch(from));
    }
  }

  /** Goes on behind what is gone already, null: nothing is left. What another process removes at this moment is left to it. */
  private async removeBatch(at: Removed): Promise<Removed | null> {
    const [dropped] = await this.database.query<{ key: number }>(LOCK_DROPPED);
    if (!dropped) return null;
    const { key } = dropped;
    const after = key === at.key ? at.id : '';
    const [last] = await this.database.query<{ id: string | null }>(REMOVE_POINTS, [key, after, BATCH]);
    if (last!.id === null) await this.database.query(REMOVE, [key]);
    return { key, id: last!.id ?? '' };
  }
}

/** The last point that was removed. */
interface Removed {
  key: number;
  id: string;
}

const INSERT = statement(
  'vectors.insertSpace',
  `insert into vector_spaces (name, shape, points, bytes, gone, revision, floor)
   values ($1, $2, 0, 0, 0, 0, 0) on conflict (name) do nothing`,
);
const FIND_SHAPE = statement('vectors.findShape', 'select shape from vector_spaces where name = $1');
const COUNT_POINTS = statement('vectors.countPoints', 'select points from vector_spaces where name = $1');

/** No character of a name sorts behind `~`. */
const NAMES = statement(
  'vectors.names',
  `select name from vector_spaces where name >= $1 and name < $1 || '~' and name > $2 order by name limit $3`,
);

const DROP_NAME = statement(
  'vectors.dropName',
  'update vector_spaces set name = null, revision = revision + 1 where name = $1',
);
const LOCK_DROPPED = statement(
  'vectors.lockDropped',
  'select key from vector_spaces where name is null order by key limit 1 for update skip locked',
);
const REMOVE_POINTS = statement(
  'vectors.removePoints',
  `with batch as (
     select id from vector_points where space_key = $1 and id > $2 order by id limit $3
   ), last as (
     select max(id) as id from batch
   ), removed as (
     delete from vector_points where space_key = $1 and id > $2 and id <= (select id from last)
   )
   select id from last`,
);
const REMOVE = statement('vectors.removeSpace', 'delete from vector_spaces where key = $1');
