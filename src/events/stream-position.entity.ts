import { Column, Entity, PrimaryColumn } from 'typeorm';

/** How far a reader of the stream of all events has come; whoever holds its row reads on. */
@Entity('stream_positions')
export class StreamPosition {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'stream_positions_pkey' })
  name!: string;

  @Column('bigint')
  tx!: number;

  @Column('bigint')
  position!: number;

  /** what happened before has been read */
  @Column({ type: 'timestamptz', precision: 3 })
  as_of!: Date;
}
