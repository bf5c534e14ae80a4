import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Member } from './member.entity.js';
import { MemberErasureRepository } from './member-erasure.repository.js';
import { MembersRepository } from './members.repository.js';

/** Roles, members, and the SQL that tells what a caller is to a session. */
@Module({
  imports: [TypeOrmModule.forFeature([Member])],
  providers: [MembersRepository, MemberErasureRepository],
  exports: [MembersRepository, MemberErasureRepository],
})
export class AccessModule {}
