import type { ConnectorSpec, JobPolicy, JsonObject, JsonValue } from '@dmg/model';
import { readCopyProperties } from './copy-properties.ts';
import { checkName, openDefinition, readParameters, readReference, unboundParameters } from './definition.ts';
import type { Scope } from './expression.ts';
import { Findings, shown } from './findings.ts';
import { isObject, ObjectReader, valueOr } from './object-reader.ts';
import { hint } from './suggestion.ts';
import { parseTimeSpan } from './time-span.ts';
import {
  type ActivityDependency, type DatasetReference, dependencyConditions, type DependencyCondition, type Parsed, type Pipeline,
  type PipelineActivity,
} from './types.ts';

/** Names that `@pipeline()` knows besides `parameters`. */
export const pipelineFacts = ['RunId', 'Pipeline', 'DataFactory'] as const;

const policyDefaults: JobPolicy = { timeoutMs: 12 * 3_600_000, retry: 0, retryIntervalMs: 30_000 };
const activitiesMax = 120;

/**
 * Reads a pipeline. Expressions are checked and kept. Throws one `DMG_CONTRACTS_INVALID_DEFINITION` that names all that is wrong.
 */
export function parsePipeline(name: string, json: JsonValue, specs: readonly ConnectorSpec[]): Parsed<Pipeline> {
  const findings = new Findings();
  const definition = openDefinition(name, json, findings);
  const value = definition === undefined ? undefined : readPipeline(name, definition.json, definition.properties, specs);
  findings.throwIfFailed('pipeline', name);
  if (value === undefined) throw new TypeError('a definition without problems has a value');
  return { value, warnings: findings.warnings };
}

function readPipeline(name: string, json: JsonObject, properties: ObjectReader, specs: readonly ConnectorSpec[]): Pipeline {
  const parameters = readParameters(properties);
  properties.ignore(['concurrency'], 'runs of a pipeline are not limited by it; the gateway limits jobs');
  properties.refuse(['variables'], 'variables are not supported; use parameters');
  properties.allow('description', 'annotations', 'folder', 'policy', 'runDimensions');
  if (properties.raw('activities') === undefined) {
    properties.findings.problem(
      properties.at('activities'), 'is missing; it must be an array of activities',
    );
  }
  const readers = properties.objects('activities');
  properties.finish();
  if (readers.length > activitiesMax) {
    properties.findings.problem(
      properties.at('activities'), `has ${readers.length} activities; allowed are ${activitiesMax}`,
    );
  }
  const facts = Object.fromEntries(pipelineFacts.map((fact) => [fact, '']));
  const scope: Scope = { kind: 'pipeline', parameters: unboundParameters(parameters), facts };
  const activities = readers.flatMap((reader) => readActivity(reader, scope, specs) ?? []);
  checkDependencies(activities, properties);
  return { name, parameters, activities, json };
}

function readActivity(reader: ObjectReader, scope: Scope, specs: readonly ConnectorSpec[]): PipelineActivity | undefined {
  const name = reader.string('name', { required: true });
  if (name.state === 'given') checkName(name.value.trim(), reader.at('name'), reader.findings);
  const type = reader.type(['Copy']);
  const dependsOn = readDependencies(reader);
  readPolicy(reader);
  reader.allow('description', 'userProperties');
  reader.refuse(['linkedServiceName'], 'a Copy activity takes its stores from its datasets');
  const state = reader.string('state', { values: ['Active', 'Inactive'] });
  if (valueOr(state, 'Active') === 'Inactive') {
    reader.findings.problem(
      reader.at('state'), 'is Inactive, which is not supported; take the activity out instead',
    );
  }
  reader.allow('onInactiveMarkAs');
  const input = readDatasetReference(reader, 'inputs', scope);
  const output = readDatasetReference(reader, 'outputs', scope);
  const typeProperties = reader.raw('typeProperties');
  if (reader.object('typeProperties', true) !== undefined && isObject(typeProperties) && type !== undefined) {
    readCopyProperties(new ObjectReader(typeProperties, reader.at('typeProperties'), reader.findings, scope), specs);
  }
  reader.finish();
  if (name.state !== 'given' || type === undefined || input === undefined || output === undefined) return undefined;
  return { name: name.value.trim(), type: 'Copy', dependsOn, input, output, path: reader.path, json: reader.json };
}

function readDatasetReference(reader: ObjectReader, name: 'inputs' | 'outputs', scope: Scope): DatasetReference | undefined {
  const references = reader.objects(name);
  if (references.length !== 1) {
    reader.findings.problem(reader.at(name), `must hold one dataset reference, not ${references.length}`);
  }
  const [first] = references;
  const reference = readReference(first, 'DatasetReference');
  const raw = first?.raw('parameters');
  if (reference === undefined) return undefined;
  if (!isObject(raw)) return { referenceName: reference.referenceName, parameters: {} };
  // Values are of the dataset's own types; here only their expressions are checked.
  const values = new ObjectReader(raw, first?.at('parameters') ?? '', reader.findings, scope);
  for (const key of Object.keys(raw)) values.checkExpressions(key.trim());
  return { referenceName: reference.referenceName, parameters: raw };
}

function readDependencies(reader: ObjectReader): ActivityDependency[] {
  return reader.objects('dependsOn').flatMap((dependency) => {
    const activity = dependency.string('activity', { required: true });
    const conditions = dependency.array('dependencyConditions').flatMap((value, index) => {
      const found = dependencyConditions.find(
        (condition) => typeof value === 'string' && condition.toLowerCase() === value.trim().toLowerCase(),
      );
      if (found === undefined) {
        const text = typeof value === 'string' ? `"${shown(value)}"` : 'not a string';
        dependency.findings.problem(
          `${dependency.at('dependencyConditions')}[${index}]`,
          `is ${text}; allowed are ${dependencyConditions.join(', ')}${typeof value === 'string' ? hint(value, dependencyConditions) : ''}`,
        );
      }
      return found ?? [];
    });
    dependency.finish();
    const all: readonly DependencyCondition[] = conditions.length === 0 ? ['Succeeded'] : conditions;
    return activity.state === 'given' ? [{ activity: activity.value.trim(), dependencyConditions: all }] : [];
  });
}

/** Reads an activity's `policy` with Data Factory's defaults. */
export function readPolicy(reader: ObjectReader): JobPolicy {
  const policy = reader.object('policy');
  if (policy === undefined) return policyDefaults;
  const timeout = policy.string('timeout');
  const retry = policy.integer('retry', { minimum: 0, maximum: 1_000_000 });
  const interval = policy.integer('retryIntervalInSeconds', { minimum: 1, maximum: 86_400 });
  for (const name of ['secureInput', 'secureOutput']) {
    if (valueOr(policy.boolean(name), false)) {
      policy.findings.warn(
        policy.at(name), 'has no effect: what copies take and give holds no secret, and is shown',
      );
    }
  }
  policy.finish();
  return {
    timeoutMs: timeout.state === 'given' ? readTimeout(policy, timeout.value) : policyDefaults.timeoutMs,
    retry: valueOr(retry, policyDefaults.retry),
    retryIntervalMs: interval.state === 'given' ? interval.value * 1000 : policyDefaults.retryIntervalMs,
  };
}

function readTimeout(policy: ObjectReader, text: string): number {
  const path = policy.at('timeout');
  const span = parseTimeSpan(text);
  if (span === undefined) {
    policy.findings.problem(path, `is "${shown(text)}"; it must be a time span such as 0.12:00:00 (days.hours:minutes:seconds)`);
  } else if (span.ms <= 0) {
    policy.findings.problem(path, 'must be longer than nothing');
  } else {
    if (span.dayTrap) {
      const days = Math.floor(span.ms / 86_400_000);
      const hours = `${Math.floor(days / 24)}.${String(days % 24).padStart(2, '0')}:00:00`;
      policy.findings.warn(path, `is read as ${days} days, because its first part is over 23; write ${hours} for ${days} hours`);
    }
    return span.ms;
  }
  return policyDefaults.timeoutMs;
}

function checkDependencies(activities: readonly PipelineActivity[], properties: ObjectReader): void {
  const { findings } = properties;
  const byName = new Map<string, PipelineActivity>();
  for (const activity of activities) {
    if (byName.has(activity.name.toLowerCase())) {
      findings.problem(
        `${activity.path}.name`, `is ${shown(activity.name)}, as another activity's`,
      );
    }
    byName.set(activity.name.toLowerCase(), activity);
  }
  const names = activities.map((activity) => activity.name);
  for (const activity of activities) {
    for (const [index, { activity: needed }] of activity.dependsOn.entries()) {
      if (byName.has(needed.toLowerCase())) continue;
      const others = names.filter((name) => name !== activity.name);
      findings.problem(
        `${activity.path}.dependsOn[${index}].activity`, `is ${shown(needed)}, which this pipeline does not have${hint(needed, others)}`,
      );
    }
  }
  const cycle = findCycle(activities);
  if (cycle.length > 0) {
    findings.problem(
      properties.at('activities'), `depend on each other in a circle: ${cycle.map((name) => shown(name)).join(' → ')}`,
    );
  }
}

/** Takes away activities that depend on nothing left, again and again; what stays holds a circle. Returns one, or nothing. */
function findCycle(activities: readonly PipelineActivity[]): string[] {
  const fold = (name: string): string => name.toLowerCase();
  let left = activities;
  for (;;) {
    const names = new Set(left.map((activity) => fold(activity.name)));
    const blocked = left.filter((activity) => activity.dependsOn.some((dependency) => names.has(fold(dependency.activity))));
    if (blocked.length === left.length) break;
    left = blocked;
  }
  const names = new Map(left.map((activity) => [fold(activity.name), activity]));
  const path: string[] = [];
  for (let current = left[0]; current !== undefined; ) {
    const at = path.indexOf(current.name);
    if (at >= 0) return [...path.slice(at), current.name].toReversed();
    path.push(current.name);
    const next = current.dependsOn.find((dependency) => names.has(fold(dependency.activity)));
    current = next === undefined ? undefined : names.get(fold(next.activity));
  }
  return [];
}
