import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DerivedModule } from '../derived/derived.module.js';
import { JobsModule } from '../jobs/jobs.module.js';
import { MemoryModule } from '../memory/memory.module.js';
import { MessagesModule } from '../messages/messages.module.js';
import { ModelsModule } from '../models/models.module.js';
import { VectorsModule } from '../vectors/vectors.module.js';
import { TextVector } from './embedding.entity.js';
import { EmbeddingService } from './embedding.service.js';
import { EmbeddingErasureRepository } from './embedding-erasure.repository.js';
import { EmbeddingSpaces } from './embedding-spaces.js';
import { EmbeddingsRepository } from './embeddings.repository.js';
import { IndexingService } from './indexing.service.js';
import { MovedEmbeddings } from './moved-embeddings.js';
import { SearchController } from './search.controller.js';
import { SearchRepository } from './search.repository.js';
import { SearchService } from './search.service.js';
import { SemanticRepository } from './semantic.repository.js';
import { SemanticService } from './semantic.service.js';
import { MemoryText, MessageText, SearchLanguageRow } from './text.entity.js';
import { TextsRepository } from './texts.repository.js';

/** Finding what was said, and what is kept. */
@Module({
  imports: [
    TypeOrmModule.forFeature([MessageText, MemoryText, SearchLanguageRow, TextVector]),
    DerivedModule,
    MessagesModule,
    MemoryModule,
    ModelsModule,
    VectorsModule,
    JobsModule,
  ],
  controllers: [SearchController],
  providers: [
    TextsRepository,
    EmbeddingsRepository,
    EmbeddingSpaces,
    MovedEmbeddings,
    EmbeddingService,
    EmbeddingErasureRepository,
    IndexingService,
    SearchRepository,
    SemanticRepository,
    SemanticService,
    SearchService,
  ],
  exports: [
    SearchService,
    IndexingService,
    TextsRepository,
    EmbeddingsRepository,
    EmbeddingService,
    EmbeddingSpaces,
    EmbeddingErasureRepository,
  ],
})
export class SearchModule {}
