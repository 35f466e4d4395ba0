import type { ConnectorSpec, CopyActivity, CopyEnd, CopyLog, DataFormat, JsonObject, JsonValue } from '@dmg/model';
import { withArchiveFolders } from './compression.ts';
import {
  type CopyProperties, defaultSettings, readCopyProperties, type SinkProperties, type SourceProperties, type StoreSettings,
} from './copy-properties.ts';
import { type DatasetContent, readDatasetContent, typePropertiesOf } from './dataset.ts';
import { bindParameters } from './definition.ts';
import { evaluateDeep, type Scope } from './expression.ts';
import { Findings, isTooDeep, shownName } from './findings.ts';
import { pathProblem, sinkFormat, sourceFormat } from './format-ends.ts';
import { resolveLog } from './log-properties.ts';
import { isObject, ObjectReader, propertyOf } from './object-reader.ts';
import { readPolicy } from './pipeline.ts';
import { resolveSkipFiles } from './skip-files.ts';
import { specTypes } from './spec-object.ts';
import { isSameTable, isTable, mixProblem, tableMappingProblem, tableProblems } from './table-ends.ts';
import type {
  Dataset, DatasetReference, LinkedService, Lookup, Pipeline, PipelineActivity, ResolvedActivity, RunFacts, Warning,
} from './types.ts';

export interface ResolveOptions {
  readonly pipeline: Pipeline;
  readonly lookup: Lookup;
  /** Values that the run was started with. */
  readonly parameters: JsonObject;
  readonly run: RunFacts;
  readonly specs: readonly ConnectorSpec[];
}

/** One side of a copy before its settings are known. */
interface End {
  readonly dataset: Dataset;
  readonly linkedService: LinkedService;
  readonly content: DatasetContent;
  readonly connector: ConnectorSpec;
}

/**
 * Turns the activities of a pipeline into what nodes can run: parameters bound, expressions evaluated, datasets and linked services
 * looked up, all checked against the connectors' specs. Throws one `DMG_CONTRACTS_CANNOT_RUN` that names all that is wrong.
 */
export function resolveActivities(options: ResolveOptions): ResolvedActivity[] {
  const { pipeline, run } = options;
  const findings = new Findings();
  const given = isTooDeep(options.parameters, findings) ? {} : options.parameters;
  const binding = { definitions: pipeline.parameters, given, owner: `pipeline ${shownName(pipeline.name)}`, path: 'parameters' };
  const parameters = bindParameters(binding, findings);
  findings.throwIfCannotRun(pipeline.name);
  const scope: Scope = { kind: 'pipeline', parameters, facts: { RunId: run.runId, Pipeline: pipeline.name, DataFactory: run.factoryName } };
  const resolved: ResolvedActivity[] = [];
  for (const activity of pipeline.activities) {
    const own = new Findings();
    const result = new ActivityResolver(options, scope, own).resolve(activity);
    for (const { path, message } of own.problems) findings.problem(path, message);
    if (result !== undefined) resolved.push(result);
  }
  findings.throwIfCannotRun(pipeline.name);
  return resolved;
}

interface Checked {
  readonly source: End;
  readonly sink: End;
  readonly translator: CopyProperties['translator'];
}

class ActivityResolver {
  readonly #options: ResolveOptions;
  readonly #scope: Scope;
  readonly #findings: Findings;

  constructor(options: ResolveOptions, scope: Scope, findings: Findings) {
    this.#options = options;
    this.#scope = scope;
    this.#findings = findings;
  }

  resolve(activity: PipelineActivity): ResolvedActivity | undefined {
    const { specs } = this.#options;
    const path = `${activity.path}.typeProperties`;
    const properties = this.#evaluate(propertyOf(activity.json, 'typeProperties') ?? {}, this.#scope, path);
    const copy = isObject(properties) ? readCopyProperties(new ObjectReader(properties, path, this.#findings), specs) : undefined;
    const policy = readPolicy(new ObjectReader(activity.json, activity.path, this.#findings));
    const source = this.#end(activity.input, `${activity.path}.inputs[0]`, 'source');
    const sink = this.#end(activity.output, `${activity.path}.outputs[0]`, 'sink');
    if (
      copy === undefined || source === undefined || sink === undefined || copy.source === undefined || copy.sink === undefined
    ) return undefined;
    const integrationRuntime = this.#gateway(activity, source.linkedService, sink.linkedService);
    const copyActivity = this.#copyActivity(activity, copy, source, sink);
    this.#checkTables(path, copyActivity, { source, sink, translator: copy.translator });
    this.#checkOverlap(activity, copyActivity, source, sink);
    if (integrationRuntime === undefined || this.#findings.failed) return undefined;
    const { name, type, dependsOn } = activity;
    return { name, type, dependsOn, policy, integrationRuntime, activity: copyActivity, warnings: unique(this.#findings.warnings) };
  }

  #evaluate(value: JsonValue, scope: Scope, path: string): JsonValue {
    return evaluateDeep(value, scope, path, (where, message) => this.#findings.problem(where, message));
  }

  /** Looks up dataset and linked service of one side and evaluates them. */
  #end(reference: DatasetReference, path: string, side: 'source' | 'sink'): End | undefined {
    const { lookup, specs } = this.#options;
    const dataset = lookup.dataset(reference.referenceName);
    if (dataset === undefined) {
      this.#findings.problem(`${path}.referenceName`, `is ${shownName(reference.referenceName)}, and the factory has no such dataset`);
      return undefined;
    }
    const place = `dataset ${shownName(dataset.name)}:`;
    const linkedService = lookup.linkedService(dataset.linkedServiceName);
    if (linkedService === undefined) {
      const name = shownName(dataset.linkedServiceName);
      this.#findings.problem(
        `${place} properties.linkedServiceName.referenceName`, `is ${name}, and the factory has no such linked service`,
      );
    }
    const given = this.#evaluate(reference.parameters, this.#scope, `${path}.parameters`);
    const parameters = bindParameters({
      definitions: dataset.parameters, given: isObject(given) ? given : {}, owner: `dataset ${shownName(dataset.name)}`,
      path: `${path}.parameters`,
    }, this.#findings);
    const where = `${place} properties.typeProperties`;
    const properties = this.#evaluate(typePropertiesOf(dataset.json), { kind: 'dataset', parameters, facts: {} }, where);
    if (linkedService === undefined || this.#findings.failed || !isObject(properties)) return undefined;
    const connector = specs.find((spec) => spec.name === linkedService.connector);
    // The store's own objects first: some types, RelationalTable say, may belong to several stores.
    const ordered = connector === undefined ? specs : [connector, ...specs.filter((spec) => spec !== connector)];
    const content = readDatasetContent(dataset.type, new ObjectReader(properties, where, this.#findings), ordered);
    if (content === undefined || connector === undefined) return undefined;
    if (content.connector !== linkedService.connector) {
      const allowed = [...specTypes([connector], 'datasets'), ...specTypes([connector], 'locations')].join(', ');
      this.#findings.problem(
        content.format.type === 'Table' ? `${place} properties.type` : `${where}.location.type`,
        `is ${content.locationType}, but linked service ${shownName(linkedService.name)} is ${linkedService.type}, which takes ${allowed}`,
      );
      return undefined;
    }
    if (!connector[side]) this.#findings.problem(path, `is used as a ${side}, which ${linkedService.type} cannot be`);
    return { dataset, linkedService, content, connector };
  }

  /** The sink's gateway does the work; the source's where the sink names none. */
  #gateway(activity: PipelineActivity, source: LinkedService, sink: LinkedService): string | undefined {
    const name = sink.integrationRuntime ?? source.integrationRuntime;
    if (name === undefined) {
      this.#findings.problem(
        activity.path,
        `has no gateway: neither linked service ${shownName(source.name)} nor ${shownName(sink.name)} has connectVia; add it to one`,
      );
    } else if (source.integrationRuntime !== undefined && source.integrationRuntime.toLowerCase() !== name.toLowerCase()) {
      this.#findings.warn(
        activity.path,
        `runs on ${shownName(name)}, the gateway of its sink; its source names ${shownName(source.integrationRuntime)}, which is not used`,
      );
    }
    return name;
  }

  #copyActivity(activity: PipelineActivity, copy: CopyProperties, source: End, sink: End): CopyActivity {
    const path = `${activity.path}.typeProperties`;
    this.#checkType(`${path}.source.type`, 'sources', copy.source, source);
    this.#checkType(`${path}.sink.type`, 'sinks', copy.sink, sink);
    const mixed = mixProblem(source.content.format.type, sink.content.format.type);
    if (mixed !== undefined) this.#findings.problem(path, mixed);
    const { additionalColumns = [], archiveFolders } = copy.source ?? {};
    const { fileExtension } = copy.sink ?? {};
    const format = withArchiveFolders(sourceFormat(source.content.format, copy.source, copy.translator), archiveFolders);
    const sinkSettings = this.#settings(copy.sink?.store, sink, 'writeSettings');
    const ends = {
      source: this.#copyEnd(source, this.#settings(copy.source?.store, source, 'readSettings'), format),
      // The engine names files by it where the sink dataset gives no file name.
      sink: this.#copyEnd(
        sink, fileExtension === undefined ? sinkSettings : { ...sinkSettings, fileExtension }, sinkFormat(sink.content.format, copy.sink),
      ),
    };
    return {
      type: 'Copy',
      ...ends,
      ...(copy.translator === undefined || sink.content.format.type === 'Binary' ? {} : { translator: copy.translator.translator }),
      ...(additionalColumns.length === 0 ? {} : { additionalColumns }),
      parallelCopies: copy.parallelCopies,
      validateDataConsistency: copy.validateDataConsistency,
      ...(copy.skipIncompatibleRows && sink.content.format.type !== 'Binary' ? { skipIncompatibleRows: true } : {}),
      ...resolveSkipFiles(copy.skipFiles, ends, this.#findings),
      ...this.#log(copy),
    };
  }

  #log({ log }: CopyProperties): { log?: CopyLog } {
    if (log === undefined) return {};
    const { lookup, specs } = this.#options;
    const resolved = resolveLog(log, { linkedService: lookup.linkedService(log.linkedServiceName), specs, findings: this.#findings });
    return resolved === undefined ? {} : { log: resolved };
  }

  #checkType(path: string, part: 'sources' | 'sinks', given: SourceProperties | SinkProperties | undefined, end: End): void {
    const { dataset, content, connector } = end;
    if (given === undefined) return;
    const fits = given.format === content.format.type && (given.format !== 'Table' || given.store?.connector === connector.name);
    if (fits) return;
    const fitting = content.format.type === 'Table'
      ? specTypes([connector], part)
      : [`${content.format.type}${part === 'sources' ? 'Source' : 'Sink'}`];
    this.#findings.problem(path, `is ${given.type}, but the dataset is ${dataset.type}; use ${fitting.join(' or ')}`);
  }

  #settings(store: StoreSettings | undefined, end: End, part: 'readSettings' | 'writeSettings'): JsonObject {
    if (store === undefined) return defaultSettings(end.connector, part);
    if (store.connector === end.connector.name) return store.values;
    // A source or sink of another kind: `#checkType` has said so.
    if (specTypes(this.#options.specs, part === 'readSettings' ? 'sources' : 'sinks').includes(store.type)) return {};
    const allowed = end.connector[part].map((object) => object.type).join(', ');
    this.#findings.problem(`${store.path}.type`, `is ${store.type}, but the store is ${end.linkedService.type}, which takes ${allowed}`);
    return {};
  }

  #copyEnd(end: End, settings: JsonObject, format: DataFormat): CopyEnd {
    return {
      connector: end.connector.name, connection: end.linkedService.connection, location: end.content.location, settings, format,
    };
  }

  #checkTables(path: string, copy: CopyActivity, { source, sink, translator }: Checked): void {
    for (const { side, message } of tableProblems(copy)) {
      const { dataset } = side === 'source' ? source : sink;
      this.#findings.problem(`dataset ${shownName(dataset.name)}: properties.typeProperties`, message);
    }
    const paths = pathProblem(translator, copy);
    if (paths !== undefined) this.#findings.problem(`${path}.translator`, paths);
    const mapping = tableMappingProblem(copy);
    if (mapping !== undefined) this.#findings.problem(`${path}.translator`, mapping);
  }

  /** Refuses a copy onto itself, as far as names show it; the engine compares what the stores really hold. */
  #checkOverlap(activity: PipelineActivity, copy: CopyActivity, source: End, sink: End): void {
    if (!sameStore(source, sink) || copy.source.settings.wildcardFolderPath !== undefined) return;
    if (isTable(copy.source) || isTable(copy.sink)) {
      if (isSameTable(copy)) {
        this.#findings.problem(activity.path, 'copies a table onto itself: its rows would be added to it again; choose another table');
      }
      return;
    }
    const [from, to] = [folderOf(copy.source), folderOf(copy.sink)];
    const [fromFile, toFile] = [copy.source.location.fileName, copy.sink.location.fileName];
    if (from === to && (toFile === undefined || fromFile === toFile)) {
      this.#findings.problem(
        activity.path,
        'copies a place onto itself: source and sink are the same folder and file; choose another folder or file for the sink',
      );
    } else if (fromFile === undefined && copy.source.settings.recursive === true && (from === '' || to.startsWith(`${from}/`))) {
      this.#findings.problem(
        activity.path,
        'copies a folder into itself: the sink lies below the source, which is read with sub-folders; choose another sink folder',
      );
    }
  }
}

function sameStore(source: End, sink: End): boolean {
  if (source.connector.name !== sink.connector.name) return false;
  if (source.content.location.container !== sink.content.location.container) return false;
  const [a, b] = [source.linkedService, sink.linkedService];
  if (a.name.toLowerCase() === b.name.toLowerCase()) return true;
  const open = (service: LinkedService): string => JSON.stringify(
    Object.entries(service.connection).toSorted(([x], [y]) => (x < y ? -1 : 1)),
  );
  return open(a) === open(b);
}

function folderOf(end: CopyEnd): string {
  const { folderPath } = end.location;
  return typeof folderPath === 'string' ? folderPath.split(/[/\\]+/).filter((part) => part !== '' && part !== '.').join('/') : '';
}

function unique(warnings: readonly Warning[]): Warning[] {
  return warnings.filter(
    (warning, index) => warnings.findIndex((other) => other.path === warning.path && other.message === warning.message) === index,
  );
}
