import type { ConnectorSpec, JsonObject, JsonValue } from '@dmg/model';
import type { Secret } from '@dmg/base';
import type { Dataset, LinkedService, Lookup, Parsed, Pipeline, ResolvedActivity, RunFacts } from './types.ts';

export type {
  ActivityDependency, Dataset, DatasetReference, DependencyCondition, LinkedService, Lookup, ParameterDefinition, ParameterType,
  Parsed, Pipeline, PipelineActivity, ResolvedActivity, RunFacts, SecretRef, Warning,
} from './types.ts';

declare const specsOf: readonly ConnectorSpec[];
type Specs = typeof specsOf;

export interface ResolveOptions {
  readonly pipeline: Pipeline;
  readonly lookup: Lookup;
  /** Values that the run was started with. */
  readonly parameters: JsonObject;
  readonly run: RunFacts;
  readonly specs: Specs;
}

export const parseLinkedService: (name: string, json: JsonValue, specs: Specs) => Parsed<LinkedService> = pending;
export const parseDataset: (name: string, json: JsonValue, specs: Specs) => Parsed<Dataset> = pending;
export const parsePipeline: (name: string, json: JsonValue) => Parsed<Pipeline> = pending;
export const resolveActivities: (options: ResolveOptions) => ResolvedActivity[] = pending;
/** The linked service's document as it may be shown. */
export const redactSecrets: (json: JsonValue, specs: Specs) => JsonValue = pending;
/** Secrets in clear by property name, for sealing. Masked ones are left out. */
export const extractSecrets: (json: JsonValue, specs: Specs) => ReadonlyMap<string, Secret> = pending;
/** Tolerates trailing commas; a syntax error names line and column. */
export const parseJsonText: (text: string, what: string) => Parsed<JsonValue> = pending;

function pending(): never {
  throw new Error('contracts are being written');
}
