export {
  type AssistOutcome, type AssistShare, type AssistStep, type AttemptDetails, type AttemptOutcome, type AttemptProgress, type AttemptStep,
  compareEpochs, type Epoch, formatEpoch, isAssistStep, type LeadStep, parseEpoch, type RefusalReason, refusalReasons, type RunningAttempt,
} from './attempt.ts';
export type {
  DispatcherSight, GatewayDecision, Member, MemberState, NodeFacts, NodeTrouble, ProtocolVersion, TroubledPart,
} from './cluster.ts';
export type { ConnectorSpec, ObjectSpec, PropertySpec, TablesSpec } from './connector-spec.ts';
export {
  type BinaryFormat, type ColumnMapping, type ColumnRef, type Compression, compressionTypes, type DataFormat, type DelimitedTextFormat,
  type HeldDigits, type InterimType, interimTypes, type JsonFormat, jsonFilePatterns, type RowFormat, type TableFormat, textEncodingNames,
  type Translator, type TypeConversionSettings,
} from './formats.ts';
export {
  type AdditionalColumn, type AdditionalValue, type CopyActivity, type CopyEnd, type CopyLog, type EncryptedSecret, isEncryptedSecret,
  type Job, type JobOrigin, type JobPolicy,
} from './job.ts';
export { copyLogFolder } from './copy-log.ts';
export type { JsonObject, JsonValue } from './json.ts';
export type {
  AliveAnswer, AliveReport, CertificateRequest, DeadLetterReport, DesiredState, DispatcherReport, JobReport, NodeCertificate,
  RegisterRequest, RegisterResponse, RunningReport, StoreClaim,
} from './node-messages.ts';
export type {
  ChunkRange, ChunkRef, Cutting, FileSkipReason, Mark, Phase, Plan, PlanTarget, Representation, SourceKind, SourceObject, TableColumn,
} from './plan.ts';
export {
  type Consistency, type Guarantee, type Receipt, type ReceiptChunk, receiptChunksMax, receiptDigest, type ReceiptTarget,
  type VerificationLevel,
} from './receipt.ts';
export { type GatewayStatus, type Judgement, type NodeStatus, nodeStatuses, type RunStatus, terminalRunStatuses } from './status.ts';
export { compareVersions } from './version.ts';
