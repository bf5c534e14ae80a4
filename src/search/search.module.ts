import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DerivedModule } from '../derived/derived.module.js';
import { MemoryModule } from '../memory/memory.module.js';
import { MessagesModule } from '../messages/messages.module.js';
import { IndexingService } from './indexing.service.js';
import { SearchController } from './search.controller.js';
import { SearchRepository } from './search.repository.js';
import { SearchService } from './search.service.js';
import { MemoryText, MessageText, SearchLanguageRow } from './text.entity.js';
import { TextsRepository } from './texts.repository.js';

/** Finding what was said, and what is kept. */
@Module({
  imports: [
    TypeOrmModule.forFeature([MessageText, MemoryText, SearchLanguageRow]),
    DerivedModule,
    MessagesModule,
    MemoryModule,
  ],
  controllers: [SearchController],
  providers: [TextsRepository, IndexingService, SearchRepository, SearchService],
  exports: [SearchService, IndexingService, TextsRepository],
})
export class SearchModule {}
