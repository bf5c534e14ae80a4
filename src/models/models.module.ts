import { Module } from '@nestjs/common';
import { Embedder } from './embedder.js';
import { Summarizer } from './summarizer.js';

/** Models of others, asked over HTTP. */
@Module({ providers: [Embedder, Summarizer], exports: [Embedder, Summarizer] })
export class ModelsModule {}
