/**
 * Which package may import which: imports go down only, siblings do not import each other. Names are those of `package.json`
 * without `@dmg/`; `connector-*` stands for all connectors but `connector-api` and `connector-testkit`.
 */
export const layers: readonly (readonly string[])[] = [
  ['base'],
  ['model'],
  ['core', 'contracts', 'formats', 'connector-api'],
  ['engine', 'protocol', 'redis', 'service-bus', 'security', 'https-json', 'connector-*'],
  ['dispatcher', 'worker'],
  // What roots share and only they import: loops and capabilities take ports instead.
  ['telemetry', 'lifecycle'],
  ['node', 'control-plane', 'cli', 'local-cloud'],
];

/** Packages that only roots may import. */
export const forRootsOnly: readonly string[] = ['telemetry', 'lifecycle'];

/** May import anything; nothing of the product may import them. */
export const testPackages: readonly string[] = ['tooling', 'connector-testkit'];

/** Packages that see nothing of a connector but its `spec`. */
export const specReaders: readonly string[] = ['contracts', 'control-plane'];

/** Npm packages with one home, so that only one place knows a driver. */
export const homes: readonly { readonly npm: RegExp; readonly packages: readonly string[] }[] = [
  { npm: /^@azure\/storage-blob$/, packages: ['connector-azure-blob'] },
  { npm: /^(?:pg|pg-copy-streams)$/, packages: ['connector-postgresql'] },
  { npm: /^@azure\/service-bus$/, packages: ['service-bus'] },
  { npm: /^(?:ioredis|redlock)$/, packages: ['redis'] },
  { npm: /^@grpc\//, packages: ['protocol'] },
  { npm: /^(?:fastify|kysely|@fastify\/.*)$/, packages: ['control-plane'] },
  { npm: /^(?:rhea|azurite)$/, packages: ['local-cloud'] },
  { npm: /^(?:pino|prom-client)$/, packages: ['telemetry'] },
  { npm: /^(?:jose|@peculiar\/.*|reflect-metadata)$/, packages: ['security'] },
  { npm: /^zod$/, packages: ['contracts', 'control-plane'] },
  { npm: /^(?:commander|cli-progress)$/, packages: ['cli'] },
];

/** The layer of a package, 0 is the lowest; undefined for a package that is not in the picture. */
export function layerOf(name: string): number | undefined {
  const known = isConnector(name) ? 'connector-*' : name;
  const layer = layers.findIndex((names) => names.includes(known));
  return layer === -1 ? undefined : layer;
}

export function isRoot(name: string): boolean {
  return layers.at(-1)?.includes(name) === true;
}

export function isConnector(name: string): boolean {
  return name.startsWith('connector-') && name !== 'connector-api' && name !== 'connector-testkit';
}
