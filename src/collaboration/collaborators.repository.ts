import { Injectable } from '@nestjs/common';
import { roleIn } from '../access/access.sql.js';
import type { Seen } from '../access/verify.js';
import { Database } from '../database/database.js';
import { statement } from '../database/statement.js';
import { statusOf } from '../sessions/session.sql.js';
import type { Collaborator, Share } from './collaboration.schemas.js';

/** A session, as far as the list of its collaborators needs to know it. */
export interface Header extends Seen {
  session_key: number;
  owner: string | null;
  made_at: Date;
}

type Member = Omit<Collaborator, 'role'> & { member_role: Share['role'] };

/** With whom a session is shared. All that change it hold the session's row. */
@Injectable()
export class CollaboratorsRepository {
  constructor(private readonly database: Database) {}

  /** The first members behind a name, in the order of their names; one more than the limit, if there are more. */
  async findPage(id: string, user: string | null, after: string, limit: number) {
    const rows = await this.database.query<Header & Member>(PAGE, [id, user, after, limit + 1]);
    const members = rows[0]?.user_id ? rows.map(({ member_role: role, ...row }) => ({ ...row, role })) : [];
    return { header: (rows[0] as Header) ?? null, members };
  }

  /** What these are to the session, and how many members it has. */
  async rolesOf(key: number, users: string[]) {
    const [found] = await this.database.query<{ total: number; roles: [string, Share['role']][] }>(ROLES_OF, [
      key,
      users,
    ]);
    return { total: found!.total, roles: new Map(found!.roles) };
  }

  /** Who is a member already keeps by whom and when he was added; who came by giving the session away is there by leave of its owner then. */
  async save(key: number, users: string[], role: Share['role'], addedBy: string | null): Promise<void> {
    await this.database.query(SAVE, [key, users, role, addedBy]);
  }

  /** Answers what he was; null: no member. */
  async delete(key: number, user: string): Promise<Share['role'] | null> {
    const [gone] = await this.database.query<{ role: Share['role'] }>(DELETE, [key, user]);
    return gone?.role ?? null;
  }
}

const PAGE = statement(
  'collaborators.page',
  `with header as materialized (
     select s.key as session_key, s.user_id as owner, s.created_at as made_at, ${statusOf('s')} as status, ${roleIn('s', '$2')} as role
     from sessions s where s.id = $1 and s.purged_at is null)
   select header.session_key, header.owner, header.made_at, header.status, header.role, page.*
   from header left join lateral (
     select m.user_id, m.role as member_role, m.added_by, m.added_at from members m
     where m.session_key = header.session_key and m.user_id > $3 order by m.user_id limit $4::int
   ) page on header.role is not null and header.status <> 'deleted'
   order by page.user_id`,
);

const ROLES_OF = statement(
  'collaborators.rolesOf',
  `select count(*)::int as total,
     coalesce(json_agg(json_build_array(user_id, role)) filter (where user_id = any($2::text[])), '[]') as roles
   from members where session_key = $1`,
);

const SAVE = statement(
  'collaborators.save',
  `insert into members (session_key, user_id, role, added_by, added_at)
   select $1::bigint, name, $3::text, $4::text, clock_timestamp() from unnest($2::text[]) as name
   on conflict (session_key, user_id) do update set role = excluded.role,
     added_by = case when members.added_by = members.user_id then excluded.added_by else members.added_by end`,
);

const DELETE = statement(
  'collaborators.delete',
  'delete from members where session_key = $1 and user_id = $2 returning role',
);
