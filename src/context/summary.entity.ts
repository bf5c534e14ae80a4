import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Line, Written } from './summary.js';

/** What has been said in a session, in sentences of its messages 1 to `to_seq`. */
@Entity('summaries')
export class StoredSummary {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'summaries_pkey' })
  session_key!: number;

  @Column('bigint')
  to_seq!: number;

  /** each with the seq it is from */
  @Column('json')
  lines!: Line[];

  /** what a model has made of the beginning, if one was asked; it stands for the lines up to there */
  @Column({ type: 'json', nullable: true })
  written!: Written | null;
}
