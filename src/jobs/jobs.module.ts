import { Module } from '@nestjs/common';
import { Sweeps } from './sweeps.js';

/** Work that no request waits for. */
@Module({ providers: [Sweeps], exports: [Sweeps] })
export class JobsModule {}
