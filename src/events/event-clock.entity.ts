import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The one row says how far `events.tx` runs ahead of the transactions of the server the database is on. */
@Entity('event_clock')
export class EventClockRow {
  @PrimaryColumn('text', { primaryKeyConstraintName: 'event_clock_pkey' })
  name!: string;

  @Column('bigint')
  ahead!: number;
}
