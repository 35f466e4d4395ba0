import type { CopyActivity, JobPolicy, JsonObject, JsonValue } from '@dmg/model';

/** Something that was accepted but has no effect, or was probably meant otherwise. Never holds a secret. */
export interface Warning {
  /** Where, as a path from the document's root: `properties.typeProperties.host`. */
  readonly path: string;
  readonly message: string;
}

export interface Parsed<T> {
  readonly value: T;
  readonly warnings: readonly Warning[];
}

/** Stands where a secret was, until the control plane puts the sealed secret in its place. */
export interface SecretRef {
  readonly secretRef: {
    readonly linkedService: string;
    /** Name of the property in the connector's spec, in the spec's spelling: a key of what `extractSecrets` returned. */
    readonly property: string;
  };
}

export interface LinkedService {
  readonly name: string;
  /** In the spelling of the spec: `AzureBlobStorage`. */
  readonly type: string;
  /** `ConnectorSpec.name`. */
  readonly connector: string;
  /** Name of the gateway, from `connectVia`. */
  readonly integrationRuntime: string | undefined;
  /** Properties in the spec's spelling with defaults; a secret is a `SecretRef`, or an `EncryptedSecret` where the user gave one. */
  readonly connection: JsonObject;
  /** Secret properties whose text is the mask that `redactSecrets` writes: the secret stored before is meant. */
  readonly maskedSecrets: readonly string[];
}

export type ParameterType = 'String' | 'Int' | 'Float' | 'Bool' | 'Array' | 'Object';

export interface ParameterDefinition {
  readonly type: ParameterType;
  readonly defaultValue?: JsonValue;
}

export interface Dataset {
  readonly name: string;
  /** `Binary`, `DelimitedText`, or a table's: `PostgreSqlTable`. */
  readonly type: string;
  readonly linkedServiceName: string;
  readonly parameters: Readonly<Record<string, ParameterDefinition>>;
  /** The user's document. It may hold expressions, which `resolveActivities` evaluates. */
  readonly json: JsonObject;
}

export interface DatasetReference {
  readonly referenceName: string;
  /** Values for the dataset's parameters; may hold expressions. */
  readonly parameters: JsonObject;
}

export const dependencyConditions = ['Succeeded', 'Failed', 'Skipped', 'Completed'] as const;
export type DependencyCondition = (typeof dependencyConditions)[number];

export interface ActivityDependency {
  readonly activity: string;
  readonly dependencyConditions: readonly DependencyCondition[];
}

export interface PipelineActivity {
  readonly name: string;
  readonly type: 'Copy';
  readonly dependsOn: readonly ActivityDependency[];
  readonly input: DatasetReference;
  readonly output: DatasetReference;
  /** Where it stands in the pipeline's document. */
  readonly path: string;
  /** The activity as the user wrote it. */
  readonly json: JsonObject;
}

export interface Pipeline {
  readonly name: string;
  readonly parameters: Readonly<Record<string, ParameterDefinition>>;
  readonly activities: readonly PipelineActivity[];
  /** The user's document. */
  readonly json: JsonObject;
}

export interface Lookup {
  /** Undefined when the factory has none of this name. Names are compared by the factory's own rule. */
  linkedService(name: string): LinkedService | undefined;
  dataset(name: string): Dataset | undefined;
}

/** What `@pipeline()` knows besides parameters. */
export interface RunFacts {
  readonly runId: string;
  readonly factoryName: string;
}

export interface ResolvedActivity {
  readonly name: string;
  readonly type: 'Copy';
  readonly dependsOn: readonly ActivityDependency[];
  readonly policy: JobPolicy;
  /** The gateway that runs it. */
  readonly integrationRuntime: string;
  /** Complete but for its secrets: each is a `SecretRef`, or an `EncryptedSecret` where the user gave one. */
  readonly activity: CopyActivity;
  readonly warnings: readonly Warning[];
}
