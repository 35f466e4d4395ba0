import type { DispatcherSight, NodeFacts, NodeTrouble, ProtocolVersion } from '@dmg/model';
import type { DispatcherSight as WireSight, DispatcherSight__Output } from '../generated/dmg/cluster/v1/DispatcherSight.ts';
import type { NodeFacts as WireFacts, NodeFacts__Output } from '../generated/dmg/cluster/v1/NodeFacts.ts';
import type { NodeSlots as WireSlots, NodeSlots__Output } from '../generated/dmg/cluster/v1/NodeSlots.ts';
import type { NodeStage__Output } from '../generated/dmg/cluster/v1/NodeStage.ts';
import type { NodeTrouble as WireTrouble, NodeTrouble__Output } from '../generated/dmg/cluster/v1/NodeTrouble.ts';
import type { ProtocolVersion as WireVersion, ProtocolVersion__Output } from '../generated/dmg/cluster/v1/ProtocolVersion.ts';
import type { TroubledPart__Output } from '../generated/dmg/cluster/v1/TroubledPart.ts';
import { enumCodec, readCount, readInt64, readMessage, readText, writeCount, writeInt64 } from './fields.ts';

const stages = enumCodec('NodeFacts.stage', {
  initializing: 'NODE_STAGE_INITIALIZING',
  running: 'NODE_STAGE_RUNNING',
  upgrading: 'NODE_STAGE_UPGRADING',
  initializeFailed: 'NODE_STAGE_INITIALIZE_FAILED',
} as const satisfies Record<NodeFacts['stage'], NodeStage__Output>);

const parts = enumCodec('NodeTrouble.part', {
  redis: 'TROUBLED_PART_REDIS',
  queue: 'TROUBLED_PART_QUEUE',
  controlPlane: 'TROUBLED_PART_CONTROL_PLANE',
  credentialKey: 'TROUBLED_PART_CREDENTIAL_KEY',
  disk: 'TROUBLED_PART_DISK',
} as const satisfies Record<NodeTrouble['part'], TroubledPart__Output>);

export function encodeFacts(facts: NodeFacts): WireFacts {
  const { nodeId, nodeName, bootId, version, address, configDigest, config, stageReason, draining, dispatcher } = facts;
  return {
    nodeId, nodeName, bootId, version,
    protocol: encodeVersion(facts.protocol),
    address, configDigest, config,
    stage: stages.encode(facts.stage),
    stageReason,
    slots: encodeSlots(facts.slots),
    draining,
    troubles: facts.troubles.map(encodeTrouble),
    dispatcher: dispatcher === undefined ? null : encodeSight(dispatcher),
  } satisfies Required<WireFacts>;
}

export function decodeFacts(field: string, wire: NodeFacts__Output | null | undefined): NodeFacts {
  const facts = readMessage(field, wire);
  return {
    nodeId: readText('NodeFacts.node_id', facts.nodeId),
    nodeName: readText('NodeFacts.node_name', facts.nodeName),
    bootId: readText('NodeFacts.boot_id', facts.bootId),
    version: readText('NodeFacts.version', facts.version),
    protocol: decodeVersion('NodeFacts.protocol', facts.protocol),
    address: facts.address,
    configDigest: facts.configDigest,
    config: facts.config,
    stage: stages.decode(facts.stage),
    stageReason: facts.stageReason,
    slots: decodeSlots(facts.slots),
    draining: facts.draining,
    troubles: facts.troubles.map(decodeTrouble),
    dispatcher: facts.dispatcher === null ? undefined : decodeSight(facts.dispatcher),
  };
}

export function encodeVersion({ major, minor }: ProtocolVersion): WireVersion {
  return {
    major: writeCount('ProtocolVersion.major', major), minor: writeCount('ProtocolVersion.minor', minor),
  } satisfies Required<WireVersion>;
}

export function decodeVersion(field: string, wire: ProtocolVersion__Output | null | undefined): ProtocolVersion {
  const { major, minor } = readMessage(field, wire);
  return { major: readCount('ProtocolVersion.major', major, 1), minor: readCount('ProtocolVersion.minor', minor) };
}

function encodeSlots({ limit, used, maximum }: NodeFacts['slots']): WireSlots {
  return {
    limit: writeCount('NodeSlots.limit', limit),
    used: writeCount('NodeSlots.used', used),
    maximum: writeCount('NodeSlots.maximum', maximum),
  } satisfies Required<WireSlots>;
}

function decodeSlots(wire: NodeSlots__Output | null): NodeFacts['slots'] {
  const { limit, used, maximum } = readMessage('NodeFacts.slots', wire);
  return {
    limit: readCount('NodeSlots.limit', limit),
    used: readCount('NodeSlots.used', used),
    maximum: readCount('NodeSlots.maximum', maximum),
  };
}

function encodeTrouble({ part, reason }: NodeTrouble): WireTrouble {
  return { part: parts.encode(part), reason } satisfies Required<WireTrouble>;
}

function decodeTrouble({ part, reason }: NodeTrouble__Output): NodeTrouble {
  return { part: parts.decode(part), reason };
}

function encodeSight({ nodeId, epoch, lostForMs }: DispatcherSight): WireSight {
  const boundedMs = Math.min(lostForMs, Number.MAX_SAFE_INTEGER);
  return { nodeId, epoch, lostForMs: writeInt64('DispatcherSight.lost_for_ms', boundedMs) } satisfies Required<WireSight>;
}

function decodeSight({ nodeId, epoch, lostForMs }: DispatcherSight__Output): DispatcherSight {
  return {
    nodeId: readText('DispatcherSight.node_id', nodeId),
    epoch: readText('DispatcherSight.epoch', epoch),
    lostForMs: readInt64('DispatcherSight.lost_for_ms', lostForMs),
  };
}
