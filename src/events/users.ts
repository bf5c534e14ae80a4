import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { insertEventList, type NewEvent, numberEvents } from './events.sql.js';

/** Users as events tell of them. */
@Injectable()
export class Users {
  constructor(private readonly database: Database) {}

  /** The user's key, held until the transaction ends; he is written down when he has none yet. */
  async lock(id: string): Promise<number> {
    const [known] = await this.database.query<{ key: number }>(LOCK, [id]);
    if (known) return known.key;
    const [made] = await this.database.query<{ key: number }>(INSERT, [id]);
    return made!.key;
  }

  /** Writes events of a user that this transaction holds. */
  async tell(key: number, events: NewEvent[]): Promise<void> {
    await this.database.query(TELL, [key, JSON.stringify(events)]);
  }
}

const LOCK = statement('users.lock', 'select key from users where id = $1 for update');

const INSERT = statement(
  'users.insert',
  `insert into users (key, id, event_seq, event_tx)
   values (nextval(pg_get_serial_sequence('sessions', 'key')), $1, 0, 0)
   on conflict (id) do update set id = excluded.id
   returning key`,
);

const TELL = statement(
  'users.tell',
  `with u as (
     update users u set ${numberEvents('u', 'jsonb_array_length($2::jsonb)')} where u.key = $1 returning u.*
   ) ${insertEventList('u', '$2')}`,
);
