import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { PayloadIndexes, Shape } from '../vectors/vector-store.js';

/** A vector space that a session has, is to have, or had. */
@Entity('collections')
@Check('collections_state', `state in ('wanted', 'ready', 'dropping')`)
@Index('collections_session', ['session_key'], { unique: true, where: `state <> 'dropping'` })
@Index('collections_due', ['due_at'], { where: 'due_at IS NOT NULL' })
export class Collection {
  /** of the space in the store; never used again */
  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'collections_pkey' })
  name!: string;

  @Column('bigint')
  session_key!: number;

  @Column('json')
  shape!: Shape;

  @Column('json')
  payload_indexes!: PayloadIndexes;

  /** where it is and stays, wherever new ones are made meanwhile */
  @Column('text')
  backend!: string;

  @Column('boolean')
  direct_writes!: boolean;

  /** `dropping`: the session has none any more */
  @Column('text')
  state!: 'wanted' | 'ready' | 'dropping';

  /** why the store did not make it, for people; null: nothing but time stands against it */
  @Column({ type: 'text', nullable: true })
  error!: string | null;

  /** to make or to drop it, without success */
  @Column({ type: 'integer', default: 0 })
  attempts!: number;

  /** when the next process may try; null: nothing is to be done */
  @Column({ type: 'timestamptz', precision: 3, nullable: true })
  due_at!: Date | null;
}
