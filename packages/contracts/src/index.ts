export { type ActivityError, activityError, copyActivityOutput, type CopyOutputFacts, isTabular } from './activity-output.ts';
export { parseDataset } from './dataset.ts';
export { contractErrors } from './errors.ts';
export { logPathOf } from './log-properties.ts';
export { supportedExpressions } from './expression.ts';
export { parseJsonText } from './json-text.ts';
export { parseLinkedService } from './linked-service.ts';
export { parsePipeline } from './pipeline.ts';
export { resolveActivities, type ResolveOptions } from './resolution.ts';
export { restGatewayState, restNodeStatus, type RestNodeStatus } from './rest-status.ts';
export { secretMask } from './secret-text.ts';
export { extractSecrets, redactSecrets } from './secrets.ts';
export { parseTimeSpan, type TimeSpan } from './time-span.ts';
export type {
  ActivityDependency, Dataset, DatasetReference, DependencyCondition, LinkedService, Lookup, ParameterDefinition, ParameterType,
  Parsed, Pipeline, PipelineActivity, ResolvedActivity, RunFacts, SecretRef, Warning,
} from './types.ts';
