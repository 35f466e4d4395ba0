import { ServerResponse } from 'node:http';
import type { createRequire } from 'node:module';

/**
 * Azurite keeps its list of blobs and blocks in memory and writes it every five seconds: `kill -9` loses what it has confirmed
 * meanwhile. Here an answer to a change waits until the list is written, as the real service has stored what it confirms.
 * Answers that wait at the same time share a write.
 */
interface LokiDatabase {
  autosaveDirty(): boolean;
  saveDatabase(done: (error?: unknown) => void): void;
  readonly throttledSavePending: boolean;
}

interface LokiClass {
  readonly prototype: { saveDatabase(this: LokiDatabase, done?: (error?: unknown) => void): void };
}

const changing = new Set(['PUT', 'POST', 'DELETE', 'PATCH']);

/** Must run before Azurite is loaded. `azuriteRequire` resolves modules as Azurite does. */
export function makeAzuriteDurable(azuriteRequire: ReturnType<typeof createRequire>): void {
  const databases = new Set<LokiDatabase>();
  const loki = azuriteRequire('lokijs') as LokiClass;
  const save = loki.prototype.saveDatabase;
  // Each database saves once when it is opened, and is known from then on.
  loki.prototype.saveDatabase = function saveAndRemember(this: LokiDatabase, done?: (error?: unknown) => void): void {
    databases.add(this);
    save.call(this, done);
  };
  const written = (database: LokiDatabase): Promise<void> =>
    new Promise((resolve, reject) => {
      if (!database.autosaveDirty() && !database.throttledSavePending) return resolve();
      database.saveDatabase((error) => {
        if (error === undefined || error === null) resolve();
        else reject(new Error('the list of blobs cannot be written', { cause: error }));
      });
    });

  const end = ServerResponse.prototype.end as (this: ServerResponse, ...args: unknown[]) => ServerResponse;
  ServerResponse.prototype.end = function endWhenWritten(this: ServerResponse, ...args: unknown[]): ServerResponse {
    if (!changing.has(this.req.method ?? '')) return end.apply(this, args);
    Promise.all([...databases].map(written)).then(
      () => end.apply(this, args),
      // What cannot be written must not be confirmed.
      () => this.destroy(),
    );
    return this;
  };
}
