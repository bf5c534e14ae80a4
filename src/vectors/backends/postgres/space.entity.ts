import { Column, Entity, Index, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import type { JsonObject } from '../../../common/json.js';
import type { Shape } from '../../vector-store.js';

/** A vector space kept in PostgreSQL; its row is held by whoever writes points. */
@Entity('vector_spaces')
@Index('vector_spaces_name', ['name'], { unique: true })
export class SpaceRow {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'BY DEFAULT',
    primaryKeyConstraintName: 'vector_spaces_pkey',
  })
  key!: number;

  /** null: dropped, its points are being removed */
  @Column({ type: 'text', collation: 'C', nullable: true })
  name!: string | null;

  @Column('json')
  shape!: Shape;

  /** how many there are */
  @Column('integer')
  points!: number;

  /** of vectors and payloads */
  @Column('bigint')
  bytes!: number;

  /** rows left by points that were deleted, so that who has a copy of the points can tell */
  @Column('integer')
  gone!: number;

  /** grows with every write */
  @Column('bigint')
  revision!: number;

  /** the revision at which rows of deleted points were last removed: an older copy cannot be brought up to date */
  @Column('bigint')
  floor!: number;
}

/** A point of a space, or what is left of one. */
@Entity('vector_points')
@Index('vector_points_changed', ['space_key', 'revision'])
export class PointRow {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'vector_points_pkey' })
  space_key!: number;

  /** in a form that sorts (`stored-id.ts`) */
  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'vector_points_pkey' })
  id!: string;

  /** of the space, when it was written */
  @Column('bigint')
  revision!: number;

  /** by `packed-vectors.ts` */
  @Column('bytea')
  vectors!: Buffer;

  /** null: deleted */
  @Column({ type: 'json', nullable: true })
  payload!: JsonObject | null;

  /** of vectors and payload, as they are or were last */
  @Column('integer')
  bytes!: number;
}
