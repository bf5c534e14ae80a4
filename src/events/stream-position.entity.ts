import { Column, Entity, PrimaryColumn } from 'typeorm';

/** How far a reader of the stream of all events has come; whoever holds its row reads on. `removed` is how far old events are gone. */
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

  /** the process that reads on, where one does outside of transactions, */
  @Column({ type: 'uuid', nullable: true })
  holder!: string | null;

  /** …until then nobody else */
  @Column({ type: 'timestamptz', precision: 3, nullable: true })
  held_until!: Date | null;
}
