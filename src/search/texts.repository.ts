import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/** A part of a text in the words that it is searched by. */
export interface TextRow {
  place_key: number;
  item: number;
  part: number;
  owner: string;
  text: string;
  /** of the entry; not of messages, whose text never changes */
  version?: number;
}

/** The words of messages and of memory, within the transaction that reads them anew. */
@Injectable()
export class TextsRepository {
  constructor(private readonly database: Database) {}

  async deleteMessages(items: { place_key: number; item: number }[]): Promise<void> {
    await this.database.query(DELETE_MESSAGES, [JSON.stringify(items)]);
  }

  async insertMessages(rows: TextRow[]): Promise<void> {
    await this.database.query(INSERT_MESSAGES, [JSON.stringify(rows)]);
  }

  async deleteEntries(items: number[]): Promise<void> {
    await this.database.query(DELETE_ENTRIES, [items]);
  }

  async insertEntries(rows: TextRow[]): Promise<void> {
    await this.database.query(INSERT_ENTRIES, [JSON.stringify(rows)]);
  }

  /** Removes at most `limit` rows of a purged session's messages; answers how many. Those of memory go with it. */
  async purge(key: number, limit: number): Promise<number> {
    return (await this.database.query(PURGE, [key, limit])).length;
  }

  /** The language texts are read in; the one given, as long as none has been read. */
  async language(given: string): Promise<string> {
    await this.database.query(BEGIN_WITH_LANGUAGE, [given]);
    const [row] = await this.database.query<{ language: string }>(LANGUAGE);
    return row!.language;
  }

  async setLanguage(language: string): Promise<void> {
    await this.database.query(SET_LANGUAGE, [language]);
  }

  async knowsLanguage(language: string): Promise<boolean> {
    return (await this.database.query(KNOWS_LANGUAGE, [language])).length > 0;
  }
}

/** SQL for the configuration that texts and queries are read with. */
export const CONFIGURATION = '(select language::regconfig from search_language)';

const DELETE_MESSAGES = statement(
  'search.deleteMessages',
  `delete from message_texts t using json_to_recordset($1::json) as gone(place_key bigint, item bigint)
   where t.place_key = gone.place_key and t.item = gone.item`,
);

const INSERT_MESSAGES = statement(
  'search.insertMessages',
  `insert into message_texts (place_key, item, part, owner, words)
   select place_key, item, part, owner, to_tsvector(${CONFIGURATION}, text)
   from json_to_recordset($1::json) as t(place_key bigint, item bigint, part int, owner bigint, text text)`,
);

const DELETE_ENTRIES = statement(
  'search.deleteEntries',
  'delete from memory_texts where item = any($1::bigint[])',
);

const INSERT_ENTRIES = statement(
  'search.insertEntries',
  `insert into memory_texts (place_key, item, part, owner, words, version)
   select place_key, item, part, owner, to_tsvector(${CONFIGURATION}, text), version
   from json_to_recordset($1::json) as t(place_key bigint, item bigint, part int, owner bigint, text text, version bigint)`,
);

const PURGE = statement(
  'search.purge',
  `delete from message_texts where (place_key, item, part) in
     (select place_key, item, part from message_texts where place_key = $1 limit $2)
   returning 1`,
);

const BEGIN_WITH_LANGUAGE = statement(
  'search.beginWithLanguage',
  `update search_language set language = $1
   where language <> $1 and not exists (select from message_texts) and not exists (select from memory_texts)`,
);

const LANGUAGE = statement('search.language', 'select language from search_language');

const SET_LANGUAGE = statement('search.setLanguage', 'update search_language set language = $1');

const KNOWS_LANGUAGE = statement(
  'search.knowsLanguage',
  'select from pg_ts_config where cfgname = $1 and pg_ts_config_is_visible(oid)',
);
