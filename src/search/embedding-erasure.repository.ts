import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { ownerNumber } from '../derived/owner.sql.js';

/** What an erasure must know of embeddings. */
@Injectable()
export class EmbeddingErasureRepository {
  constructor(private readonly database: Database) {}

  /** The number that stands for a user where his texts are. */
  async ownerOf(user: string): Promise<string> {
    return (await this.database.query<{ owner: string }>(OWNER_OF, [user]))[0]!.owner;
  }

  /** Whether something of these places is still to be removed from the store. */
  async hasGone(places: number[]): Promise<boolean> {
    return (await this.database.query(HAS_GONE, [places])).length > 0;
  }
}

const OWNER_OF = statement('embeddingErasure.ownerOf', `select ${ownerNumber('$1::text')}::text as owner`);

const HAS_GONE = statement(
  'embeddingErasure.hasGone',
  `select from text_vectors where place_key = any($1::bigint[]) and state = 'gone' limit 1`,
);
