const swc = (type, syntax) => [
  '@swc/jest',
  {
    jsc: {
      target: 'es2023',
      parser: { syntax, decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
    },
    module: { type },
  },
];

/** The suites run on the sources, as ES modules; `test/setup/` brings PostgreSQL and starts the built process. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': swc('es6', 'typescript'),
    // @fastify/static requires this ES module, which Jest can do from Node 24.9 on only
    '/node_modules/content-disposition/.+\\.js$': swc('commonjs', 'ecmascript'),
  },
  transformIgnorePatterns: ['/node_modules/(?!content-disposition/)'],
  globalSetup: '<rootDir>/test/setup/global-setup.mjs',
  globalTeardown: '<rootDir>/test/setup/global-teardown.mjs',
  maxWorkers: 2,
  // what a suite has loaded is never freed: with gigabytes of it a worker collects garbage half of its time
  workerIdleMemoryLimit: '800MB',
  testTimeout: 60_000,
};
