/**
 * What a connector's Data Factory JSON looks like, as data: parsing, checks, docs and the control plane come from it. A spec
 * lives in a connector's `spec.ts`, which imports no driver.
 */
export interface ConnectorSpec {
  /** Our name of the connector: `file`, `azure-blob`. */
  readonly name: string;
  readonly linkedServices: readonly ObjectSpec[];
  /** `typeProperties.location` of a dataset. */
  readonly locations: readonly ObjectSpec[];
  /** `storeSettings` of a copy source. */
  readonly readSettings: readonly ObjectSpec[];
  /** `storeSettings` of a copy sink. */
  readonly writeSettings: readonly ObjectSpec[];
  /** Present where the store has tables: how Data Factory names and describes them. Locations and settings are then these objects. */
  readonly tables?: TablesSpec;
  readonly source: boolean;
  readonly sink: boolean;
  /** What the sink can promise (DESIGN §7): `yes` makes *exactly once per job* possible. */
  readonly atomicPublish: 'yes' | 'renameOnly' | 'none';
}

/** The JSON of tables: each end of a copy is one object, not a format with store settings. */
export interface TablesSpec {
  /** Datasets by their `type`; the properties are those of `typeProperties`. */
  readonly datasets: readonly ObjectSpec[];
  /** Copy sources. The first is the one that is shown for runs. */
  readonly sources: readonly ObjectSpec[];
  /** Copy sinks. The first is the one that is shown for runs. */
  readonly sinks: readonly ObjectSpec[];
}

/** One JSON object of a given `type` and its properties. */
export interface ObjectSpec {
  /** The value of `type`, e.g. `FileServer`; compared without case. */
  readonly type: string;
  readonly description: string;
  readonly properties: readonly PropertySpec[];
  /** Names of properties of which one must be given. */
  readonly oneOf?: readonly string[];
}

export interface PropertySpec {
  readonly name: string;
  /**
   * `secret` takes a plain string, `SecureString` or an encrypted credential, and never leaves in clear. `text` takes a string or a
   * whole number, and becomes a string. `object` has `properties`.
   */
  readonly type: 'string' | 'boolean' | 'integer' | 'secret' | 'text' | 'stringMap' | 'object' | 'any';
  /** Of an `object`. */
  readonly properties?: readonly PropertySpec[];
  readonly required?: boolean;
  /** Allowed values of a string or text, compared without case. */
  readonly values?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: string | number | boolean;
  /** Values that the product knows and that are not built here, each with the reason. */
  readonly refusedValues?: Readonly<Record<string, string>>;
  /** Names of properties in whose place this one stands: they cannot be given beside it. */
  readonly excludes?: readonly string[];
  /** Accepted and kept, but without effect here: gives a warning with this text. */
  readonly ignored?: string;
  /** Known to the product but not built here: any value but the default is refused with this text. */
  readonly refused?: string;
  readonly description: string;
}
