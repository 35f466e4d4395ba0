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
  readonly source: boolean;
  readonly sink: boolean;
  /** What the sink can promise (DESIGN §7): `yes` makes *exactly once per job* possible. */
  readonly atomicPublish: 'yes' | 'renameOnly' | 'none';
}

/** One JSON object of a given `type` and its properties. */
export interface ObjectSpec {
  /** The value of `type`, e.g. `FileServer`; compared without case. */
  readonly type: string;
  readonly description: string;
  readonly properties: readonly PropertySpec[];
}

export interface PropertySpec {
  readonly name: string;
  /** `secret` takes a plain string, `SecureString` or an encrypted credential, and never leaves in clear. */
  readonly type: 'string' | 'boolean' | 'integer' | 'secret' | 'stringMap' | 'any';
  readonly required?: boolean;
  /** Allowed values of a string, compared without case. */
  readonly values?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: string | number | boolean;
  /** Accepted and kept, but without effect here: gives a warning with this text. */
  readonly ignored?: string;
  /** Known to the product but not built here: any value but the default is refused with this text. */
  readonly refused?: string;
  readonly description: string;
}
