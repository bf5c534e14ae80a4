import { Entity, PrimaryColumn } from 'typeorm';

/** The one row tells this installation from others that share a store. */
@Entity('installation')
export class Installation {
  @PrimaryColumn({ type: 'text', collation: 'C', primaryKeyConstraintName: 'installation_pkey' })
  id!: string;
}
