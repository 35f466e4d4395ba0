export type {
  ChunkFacts, ChunkWriter, Connector, ConnectorContext, OwnForm, PartitionWish, SharedSnapshots, Sink, SinkJob, SinkLimits, SinkState,
  Source, StagedTarget, StreamFormat, TableIntake, TablePartitions, TableSource, TextStream,
} from './connector.ts';
export { connectorErrors } from './errors.ts';
export { chooseMarks, isSkippedFile, missingChunks, plannedChunks } from './mark-chain.ts';
export { checkedObjectPath, checkedPath, comparePaths, isOwnPath, joinPath } from './object-path.ts';
export { checkedFolder, type ObjectSelection, selectObjects, textOf } from './object-selection.ts';
export { mapParallel } from './map-parallel.ts';
export { choosePartBytes } from './part-size.ts';
export type { SideFile, SideFiles } from './side-files.ts';
export { extentFor, extentsOf, extentTotal, sourceBytesOf } from './source-extents.ts';
export { hasWildcard, literalOf, matchesWildcard } from './wildcard.ts';
