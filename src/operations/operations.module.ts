import { Module } from '@nestjs/common';
import { HealthService } from './health.service.js';
import { OpenApiDocument } from './openapi-document.js';
import { OperationsController } from './operations.controller.js';

/** What operators ask of the process. */
@Module({ controllers: [OperationsController], providers: [HealthService, OpenApiDocument] })
export class OperationsModule {}
