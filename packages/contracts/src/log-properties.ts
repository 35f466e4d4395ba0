import type { ConnectorSpec, CopyLog, JsonObject } from '@dmg/model';
import { readReference } from './definition.ts';
import { type Findings, shownName } from './findings.ts';
import { type ObjectReader, valueOr } from './object-reader.ts';
import type { LinkedService } from './types.ts';

/** Where a copy writes its log, as a Copy activity says it. */
export interface LogProperties {
  readonly linkedServiceName: string;
  /** As given, without slashes at its ends; empty: the store's root. */
  readonly path: string;
  readonly form: CopyLog['form'];
  readonly level: CopyLog['level'];
  /** Of the settings in the document. */
  readonly at: string;
}

/**
 * Reads `redirectIncompatibleRowSettings` (skipped rows alone) and `logSettings`, or its older form `logStorageSettings` (a session log,
 * with skipped rows in it). A copy has one of them.
 */
export function readLogProperties(reader: ObjectReader, skipsRows: boolean): LogProperties | undefined {
  const redirect = readRedirect(reader);
  const session = readSession(reader);
  if (redirect === undefined) return session;
  if (session !== undefined) {
    reader.findings.problem(
      reader.at('redirectIncompatibleRowSettings'),
      'cannot stand beside logSettings, whose log holds skipped rows as well; give one of the two',
    );
  } else if (!skipsRows) {
    reader.findings.warn(reader.at('redirectIncompatibleRowSettings'), 'has no effect: enableSkipIncompatibleRow is not true');
    return undefined;
  }
  return redirect;
}

function readRedirect(reader: ObjectReader): LogProperties | undefined {
  const settings = reader.object('redirectIncompatibleRowSettings');
  if (settings === undefined) return undefined;
  const place = readPlace(settings);
  settings.finish();
  return place === undefined ? undefined : { ...place, form: 'rows', level: 'Warning' };
}

function readSession(reader: ObjectReader): LogProperties | undefined {
  const older = reader.object('logStorageSettings');
  const settings = reader.object('logSettings');
  if (settings === undefined) {
    const place = older === undefined ? undefined : readPlace(older);
    const level = older === undefined ? 'Warning' : readLevel(older);
    older?.finish();
    return place === undefined ? undefined : { ...place, form: 'session', level };
  }
  if (older !== undefined) reader.findings.problem(reader.at('logStorageSettings'), 'cannot stand beside logSettings; give one of the two');
  const enabled = valueOr(settings.boolean('enableCopyActivityLog'), true);
  const details = settings.object('copyActivityLogSettings');
  const level = details === undefined ? 'Warning' : readLevel(details);
  details?.finish();
  const location = settings.object('logLocationSettings', enabled);
  const place = location === undefined || !enabled ? undefined : readPlace(location);
  location?.finish();
  settings.finish();
  return place === undefined ? undefined : { ...place, form: 'session', level };
}

/** Every line is durable before the chunk that it is about counts, whatever `enableReliableLogging` says. */
function readLevel(reader: ObjectReader): CopyLog['level'] {
  reader.boolean('enableReliableLogging');
  const taken = reader.string('logLevel', { values: ['Warning', 'Info'] });
  return taken.state === 'given' && taken.value === 'Info' ? 'Info' : 'Warning';
}

function readPlace(reader: ObjectReader): Pick<LogProperties, 'linkedServiceName' | 'path' | 'at'> | undefined {
  // The first version of Data Factory names it by its name alone.
  const isName = typeof reader.raw('linkedServiceName') === 'string';
  const named = isName ? reader.string('linkedServiceName') : undefined;
  const linkedServiceName = isName
    ? (named?.state === 'given' ? named.value : undefined)
    : readReference(reader.object('linkedServiceName', true), 'LinkedServiceReference')?.referenceName;
  const path = valueOr(reader.string('path'), '').replace(/^[/\\]+|[/\\]+$/g, '');
  if (linkedServiceName === undefined) return undefined;
  if (path.split(/[/\\]/).some((part) => part === '..' || part === '.')) {
    reader.findings.problem(reader.at('path'), 'has a part `.` or `..`; give a path below the root of the store');
    return undefined;
  }
  return { linkedServiceName, path, at: reader.path };
}

export interface LogResolution {
  /** The one that the settings name, where there is one. */
  readonly linkedService: LinkedService | undefined;
  readonly specs: readonly ConnectorSpec[];
  readonly findings: Findings;
}

/** The store of the log as an end of a copy. Undefined, with a finding, where it cannot be used. */
export function resolveLog(log: LogProperties, { linkedService, specs, findings }: LogResolution): CopyLog | undefined {
  if (linkedService === undefined) {
    findings.problem(`${log.at}.linkedServiceName`, `is ${shownName(log.linkedServiceName)}, and the factory has no such linked service`);
    return undefined;
  }
  const spec = specs.find(({ name }) => name === linkedService.connector);
  const properties = spec?.locations[0]?.properties;
  if (properties === undefined || spec?.sink !== true) {
    findings.problem(`${log.at}.linkedServiceName`, `is ${linkedService.type}, which is no store of files; name a file or blob store`);
    return undefined;
  }
  const hasContainers = properties.some(({ name }) => name === 'container');
  const location = locationOf(log.path, hasContainers);
  if (location === undefined) {
    findings.problem(`${log.at}.path`, `is missing; give CONTAINER or CONTAINER/FOLDER of ${shownName(linkedService.name)}`);
    return undefined;
  }
  const { connector, connection } = linkedService;
  return {
    store: { connector, connection, location, settings: {}, format: { type: 'Binary' } }, form: log.form, level: log.level,
  };
}

function locationOf(path: string, hasContainers: boolean): JsonObject | undefined {
  if (!hasContainers) return path === '' ? {} : { folderPath: path };
  const [container = '', ...folders] = path.split(/[/\\]+/);
  if (container === '') return undefined;
  return folders.length === 0 ? { container } : { container, folderPath: folders.join('/') };
}

/** Where a copy's log stands, for people: container and folder of its store, with a slash at the end. */
export function logPathOf(log: CopyLog, folder: string): string {
  const { container, folderPath } = log.store.location;
  return `${[container, folderPath, folder].flatMap((part) => (typeof part === 'string' && part !== '' ? [part] : [])).join('/')}/`;
}
