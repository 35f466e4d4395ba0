export type { ChunkFacts, ChunkWriter, Connector, ConnectorContext, Sink, SinkJob, SinkLimits, SinkState, Source } from './connector.ts';
export { connectorErrors } from './errors.ts';
