import { Entity, PrimaryColumn } from 'typeorm';

/** A session, or a user, that an erasure which has not ended has removed something of. */
@Entity('erasure_places')
export class ErasurePlace {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'erasure_places_pkey' })
  job_id!: string;

  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'erasure_places_pkey' })
  place_key!: number;
}
