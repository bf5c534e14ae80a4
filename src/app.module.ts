import { type DynamicModule, Global, Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import type { Logger } from 'pino';
import { CollaborationModule } from './collaboration/collaboration.module.js';
import { CollectionsModule } from './collections/collections.module.js';
import { CONFIG, type Config } from './config/config.js';
import { ContextModule } from './context/context.module.js';
import { DatabaseModule } from './database/database.module.js';
import { EventsModule } from './events/events.module.js';
import { FeedModule } from './feed/feed.module.js';
import { Admission } from './http/admission.js';
import { CallerGuard } from './http/caller.guard.js';
import { LOG } from './http/log.js';
import { ValidationPipe } from './http/validation.pipe.js';
import { JobsModule } from './jobs/jobs.module.js';
import { JOB_KINDS, KINDS, type Kinds } from './jobs/kinds.js';
import { LimitsModule } from './limits/limits.module.js';
import { MemoryModule } from './memory/memory.module.js';
import { MessagesModule } from './messages/messages.module.js';
import { OperationsModule } from './operations/operations.module.js';
import { RestructureModule } from './restructure/restructure.module.js';
import { RetentionModule } from './retention/retention.module.js';
import { SearchModule } from './search/search.module.js';
import { AccessFirstFilter } from './sessions/access-first.filter.js';
import { SessionsModule } from './sessions/sessions.module.js';
import { StatsModule } from './stats/stats.module.js';
import { TransferModule } from './transfer/transfer.module.js';
import { VectorsModule } from './vectors/vectors.module.js';

/** What every room may ask for. */
@Global()
@Module({})
class ProcessModule {
  static forRoot(config: Config, log: Logger, kinds: Kinds): DynamicModule {
    const providers = [
      { provide: CONFIG, useValue: config },
      { provide: LOG, useValue: log },
      { provide: KINDS, useValue: kinds },
    ];
    return { module: ProcessModule, providers, exports: providers };
  }
}

/** The one list of rooms. */
@Module({})
export class AppModule {
  static forRoot(config: Config, log: Logger, databaseUrl: string, kinds: Kinds = JOB_KINDS): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ProcessModule.forRoot(config, log, kinds),
        DatabaseModule.forRoot(databaseUrl, config.DATABASE_POOL_SIZE),
        LimitsModule,
        EventsModule,
        VectorsModule,
        JobsModule,
        SessionsModule,
        MessagesModule,
        MemoryModule,
        CollaborationModule,
        CollectionsModule,
        SearchModule,
        ContextModule,
        FeedModule,
        StatsModule,
        RetentionModule,
        RestructureModule,
        TransferModule,
        OperationsModule,
      ],
      providers: [
        Admission,
        { provide: APP_FILTER, useClass: AccessFirstFilter },
        { provide: APP_GUARD, useClass: CallerGuard },
        { provide: APP_PIPE, useClass: ValidationPipe },
      ],
    };
  }
}
