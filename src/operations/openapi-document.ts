import { Injectable } from '@nestjs/common';
import type { OpenAPIObject } from '@nestjs/swagger';

/** The OpenAPI document: built from all routes when somebody first asks for it, since the start would wait half a second for it. */
@Injectable()
export class OpenApiDocument {
  private built?: OpenAPIObject;

  /** told by whoever puts the application together */
  build!: () => OpenAPIObject;

  get value(): OpenAPIObject {
    this.built ??= this.build();
    return this.built;
  }
}
