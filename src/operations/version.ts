import { readFileSync } from 'node:fs';

/** The version in package.json, found from the sources and from the build alike. */
export const VERSION: string = findVersion(new URL('.', import.meta.url));

function findVersion(folder: URL): string {
  const { version, name } = readPackage(new URL('package.json', folder));
  return name === 'session-service' ? version : findVersion(new URL('..', folder));
}

function readPackage(file: URL): { name?: string; version: string } {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { version: '' };
  }
}
