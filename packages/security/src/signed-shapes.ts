/**
 * Shape of what arrives signed. The control plane made it, but perhaps another version of it: a field that is missing must be
 * refused at the door and not be met as `undefined` in the middle of a copy. Each check answers the first problem, or undefined.
 */
type Check = (value: unknown, path: string) => string | undefined;

const text: Check = (value, path) => (typeof value === 'string' && value !== '' ? undefined : `${path} is not a text`);
const anyText: Check = (value, path) => (typeof value === 'string' ? undefined : `${path} is not a text`);
const flag: Check = (value, path) => (typeof value === 'boolean' ? undefined : `${path} is not true or false`);
const object: Check = (value, path) => (isObject(value) ? undefined : `${path} is not an object`);
const integer = (minimum: number): Check => (value, path) =>
  Number.isSafeInteger(value) && (value as number) >= minimum ? undefined : `${path} is not an integer of at least ${minimum}`;
const exactly = (...allowed: readonly unknown[]): Check => (value, path) =>
  allowed.includes(value) ? undefined : `${path} is not ${allowed.map((each) => JSON.stringify(each)).join(' or ')}`;
const optional = (check: Check): Check => (value, path) => (value === undefined ? undefined : check(value, path));
const listOf = (check: Check): Check => (value, path) => {
  if (!Array.isArray(value)) return `${path} is not a list`;
  for (const [index, each] of value.entries()) {
    const problem = check(each, `${path}[${index}]`);
    if (problem !== undefined) return problem;
  }
  return undefined;
};
const shape = (fields: Readonly<Record<string, Check>>): Check => (value, path) => {
  if (!isObject(value)) return `${path} is not an object`;
  for (const [name, check] of Object.entries(fields)) {
    const problem = check(value[name], `${path}.${name}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
};

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const delimitedText = shape({
  columnDelimiter: anyText, rowDelimiter: anyText, quoteChar: anyText, escapeChar: anyText, firstRowAsHeader: flag, nullValue: anyText,
  encodingName: text, skipLineCount: integer(0), quoteAllText: flag,
});
const json = shape({
  encodingName: text, filePattern: optional(exactly('setOfObjects', 'arrayOfObjects')), collectionReference: optional(text),
  columns: optional(listOf(shape({ name: anyText, path: text }))),
});
const format: Check = (value, path) => {
  const problem = shape({ type: exactly('Binary', 'DelimitedText', 'Json', 'Table') })(value, path);
  if (problem !== undefined) return problem;
  const { type } = value as { type: string };
  return type === 'DelimitedText' ? delimitedText(value, path) : type === 'Json' ? json(value, path) : undefined;
};
const copyEnd = shape({ connector: text, connection: object, location: object, settings: object, format });
const translator = shape({
  mappings: listOf(shape({ source: object, sink: object })), typeConversion: flag,
  typeConversionSettings: shape({ allowDataTruncation: flag, treatBooleanAsNumber: flag }),
});
const job = shape({
  formatVersion: exactly(1), jobId: text, gatewayId: text,
  origin: shape({ factoryName: text, pipelineName: text, runId: text, activityName: text, activityRunId: text }),
  policy: shape({ timeoutMs: integer(1), retry: integer(0), retryIntervalMs: integer(0) }),
  tryNumber: integer(1), finalTry: flag,
  activity: shape({
    type: exactly('Copy'), source: copyEnd, sink: copyEnd, translator: optional(translator),
    additionalColumns: optional(listOf(shape({ name: text, value: shape({ kind: exactly('text', 'filePath', 'column') }) }))),
    parallelCopies: integer(0),
    validateDataConsistency: flag,
  }),
});
const desiredState = shape({
  gatewayId: text, nodeId: text, version: integer(0), concurrentJobsLimit: integer(0), cancel: listOf(text),
  members: listOf(shape({ nodeId: text, nodeName: text, address: anyText })),
  decision: optional(shape({ number: integer(0), version: text, configDigest: anyText })),
  targetVersion: optional(text), drain: optional(shape({ graceMs: integer(0) })), stores: listOf(shape({ path: text, storeId: text })),
});

export function checkJob(value: unknown): string | undefined {
  return job(value, 'job');
}

export function checkDesiredState(value: unknown): string | undefined {
  return desiredState(value, 'state');
}
