import { FakeQdrant } from '../setup/fake-qdrant/fake-qdrant.js';
import { LAYOUTS, storeAt } from '../setup/qdrant.js';
import { describeVectorStore } from './vector-store.suite.js';

const real = process.env.QDRANT_URL;
if (!real) console.info('QDRANT_URL is not set: the contract is held against the fake Qdrant only');

const FILTERS = Number(process.env.FILTERS ?? 250);

for (const layout of LAYOUTS) {
  const open = async () => {
    const fake = new FakeQdrant();
    await fake.start();
    return { store: (await storeAt(fake.url, layout)).store, close: () => fake.stop() };
  };
  describeVectorStore(`the fake Qdrant, ${layout}`, open, FILTERS);
  if (real) describeVectorStore(`the real Qdrant, ${layout}`, () => storeAt(real, layout), FILTERS);
}
