import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What is done at set times, once for all processes. */
@Entity('schedules')
export class Schedule {
  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'schedules_pkey' })
  name!: string;

  /** five fields, UTC */
  @Column({ type: 'text', collation: 'C' })
  cron!: string;

  /** when it is done next; while it is being done, when whoever does it is taken for dead */
  @Column({ type: 'timestamptz', precision: 3 })
  due_at!: Date;
}
