import { Column, Entity, Index, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import type { Json, JsonObject } from '../common/json.js';

/** What all entries of one session or one user come to; its row is held by whoever changes one of them. */
@Entity('memory_spaces')
export class MemorySpace {
  /** of the session, or of the user */
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'memory_spaces_pkey' })
  key!: number;

  @Column('integer')
  entries!: number;

  /** the highest version of any entry that is gone: a new one goes on from there */
  @Column('bigint')
  last_version!: number;
}

/** A fact kept for a session or a user. */
@Entity('memory_entries')
@Index('memory_entries_name', ['space_key', 'name'], { unique: true })
@Index('memory_entries_id', ['space_key', 'memory_id'], { unique: true })
@Index('memory_entries_space', ['space_key', 'key'])
@Index('memory_entries_expires', ['expires_at'], { where: 'expires_at IS NOT NULL' })
export class MemoryEntry {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'BY DEFAULT',
    primaryKeyConstraintName: 'memory_entries_pkey',
  })
  key!: number;

  @Column('bigint')
  space_key!: number;

  @Column('uuid')
  memory_id!: string;

  /** `key` in the API; null: reached by its id only */
  @Column({ type: 'text', collation: 'C', nullable: true })
  name!: string | null;

  @Column({ type: 'text', collation: 'C' })
  memory_type!: string;

  @Column('json')
  value!: Json;

  /** the value as text */
  @Column('text')
  content!: string;

  @Column('json')
  metadata!: JsonObject;

  @Column('double precision')
  importance!: number;

  @Column('bigint')
  version!: number;

  /** of value, content and metadata */
  @Column('integer')
  bytes!: number;

  @Column({ type: 'timestamptz', precision: 3, nullable: true })
  expires_at!: Date | null;

  @Column({ type: 'text', collation: 'C', nullable: true })
  created_by!: string | null;

  @Column({ type: 'timestamptz', precision: 3 })
  created_at!: Date;

  @Column({ type: 'timestamptz', precision: 3 })
  updated_at!: Date;
}

/** What an entry was before it was changed. */
@Entity('memory_versions')
export class MemoryVersion {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'memory_versions_pkey' })
  entry_key!: number;

  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'memory_versions_pkey' })
  version!: number;

  @Column({ type: 'text', collation: 'C' })
  memory_type!: string;

  @Column('json')
  value!: Json;

  @Column('text')
  content!: string;

  @Column('json')
  metadata!: JsonObject;

  @Column('double precision')
  importance!: number;

  @Column('integer')
  bytes!: number;

  @Column({ type: 'timestamptz', precision: 3, nullable: true })
  expires_at!: Date | null;

  @Column({ type: 'timestamptz', precision: 3 })
  updated_at!: Date;
}
