import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A user that something is kept for. His key is of the same row of numbers as those of sessions: an event is of one or the other. */
@Entity('users')
export class User {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'users_pkey' })
  key!: number;

  @Index('users_id', { unique: true })
  @Column({ type: 'text', collation: 'C' })
  id!: string;

  @Column('bigint')
  event_seq!: number;

  @Column('bigint')
  event_tx!: number;
}
