import { seededRandom, silentLogger, systemClock } from '@dmg/base';
import { type Connector, type ConnectorContext, connectorErrors, isOwnPath } from '@dmg/connector-api';
import type { CopyEnd, JsonObject } from '@dmg/model';
import { memoryConnector } from '../memory-connector.ts';
import { type MemoryStore, MemoryStores } from '../memory-store.ts';
import type { ConnectorFixture } from './fixture.ts';

/** A context for tests: real clock, random from a seed, no log. */
export function testContext(secrets: Readonly<Record<string, string>> = {}): ConnectorContext {
  return {
    clock: systemClock, random: seededRandom(1), logger: silentLogger, secrets: new Map(Object.entries(secrets)), callLimitMs: 20_000,
  };
}

/** A fixture of the memory connector, or of a broken one made from it. */
export function memoryFixture(
  wrap: (connector: Connector, store: MemoryStore) => Connector = (connector) => connector,
): Promise<ConnectorFixture> {
  const stores = new MemoryStores();
  const store = stores.store('test');
  const end = (location: JsonObject = {}, settings: JsonObject = {}): CopyEnd => ({
    connector: 'memory', connection: { store: 'test' }, location, settings, format: { type: 'Binary' },
  });
  const secret = 'wrong-password-1234';
  return Promise.resolve({
    connector: wrap(memoryConnector({ stores }), store),
    context: testContext({ key: 'open sesame' }),
    sourceEnd: end,
    sinkEnd: end,
    partBytes: 1024,
    hasFolders: false,
    badEnds: [
      { name: 'wrong key', end: end(), context: testContext({ key: secret }), code: connectorErrors.ACCESS_DENIED.code },
      { name: 'no store', end: { ...end(), connection: {} }, context: testContext(), code: connectorErrors.BAD_SETTING.code },
    ],
    secrets: [secret],
    put: (path, bytes) => Promise.resolve(void store.put(path, bytes)),
    get: (path) => Promise.resolve(store.get(path)),
    take(path) {
      const bytes = store.get(path);
      store.delete(path);
      return Promise.resolve(bytes);
    },
    paths: () => Promise.resolve([...store.objects.keys()].filter((path) => !isOwnPath(path))),
    stagedBytes(jobId) {
      const job = store.job(jobId);
      if (job.phase === 'done') return Promise.resolve(0);
      return Promise.resolve([...job.marks.values()].reduce((sum, { bytes }) => sum + bytes.length, 0));
    },
    openHandles: () => Promise.resolve(store.openHandles),
    close: () => Promise.resolve(),
  });
}
