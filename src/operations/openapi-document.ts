import { Injectable } from '@nestjs/common';
import type { OpenAPIObject } from '@nestjs/swagger';

/** The OpenAPI document: built from all routes when the application is put together, before it listens. */
@Injectable()
export class OpenApiDocument {
  value?: OpenAPIObject;
}
