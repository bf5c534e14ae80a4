import { Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';

/** Tells this installation from others that share a store: names of spaces begin with it. */
@Injectable()
export class InstallationId {
  private known?: string;

  constructor(private readonly database: Database) {}

  /** Never changes, so it is read once. */
  async get(): Promise<string> {
    this.known ??= (await this.database.query<{ id: string }>(FIND))[0]!.id;
    return this.known;
  }
}

const FIND = statement('vectors.installation', 'select id from installation');
