// Generated from proto/ by `npm run gen`. Do not edit.
import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { AssistShare as _dmg_cluster_v1_AssistShare, AssistShare__Output as _dmg_cluster_v1_AssistShare__Output } from './dmg/cluster/v1/AssistShare.ts';
import type { AttemptDetails as _dmg_cluster_v1_AttemptDetails, AttemptDetails__Output as _dmg_cluster_v1_AttemptDetails__Output } from './dmg/cluster/v1/AttemptDetails.ts';
import type { AttemptOutcome as _dmg_cluster_v1_AttemptOutcome, AttemptOutcome__Output as _dmg_cluster_v1_AttemptOutcome__Output } from './dmg/cluster/v1/AttemptOutcome.ts';
import type { AttemptProgress as _dmg_cluster_v1_AttemptProgress, AttemptProgress__Output as _dmg_cluster_v1_AttemptProgress__Output } from './dmg/cluster/v1/AttemptProgress.ts';
import type { Cancel as _dmg_cluster_v1_Cancel, Cancel__Output as _dmg_cluster_v1_Cancel__Output } from './dmg/cluster/v1/Cancel.ts';
import type { CancelAnswer as _dmg_cluster_v1_CancelAnswer, CancelAnswer__Output as _dmg_cluster_v1_CancelAnswer__Output } from './dmg/cluster/v1/CancelAnswer.ts';
import type { ClientFrame as _dmg_cluster_v1_ClientFrame, ClientFrame__Output as _dmg_cluster_v1_ClientFrame__Output } from './dmg/cluster/v1/ClientFrame.ts';
import type { ClusterClient as _dmg_cluster_v1_ClusterClient, ClusterDefinition as _dmg_cluster_v1_ClusterDefinition } from './dmg/cluster/v1/Cluster.ts';
import type { Dispatch as _dmg_cluster_v1_Dispatch, Dispatch__Output as _dmg_cluster_v1_Dispatch__Output } from './dmg/cluster/v1/Dispatch.ts';
import type { DispatchAnswer as _dmg_cluster_v1_DispatchAnswer, DispatchAnswer__Output as _dmg_cluster_v1_DispatchAnswer__Output } from './dmg/cluster/v1/DispatchAnswer.ts';
import type { DispatcherSight as _dmg_cluster_v1_DispatcherSight, DispatcherSight__Output as _dmg_cluster_v1_DispatcherSight__Output } from './dmg/cluster/v1/DispatcherSight.ts';
import type { Epoch as _dmg_cluster_v1_Epoch, Epoch__Output as _dmg_cluster_v1_Epoch__Output } from './dmg/cluster/v1/Epoch.ts';
import type { Fault as _dmg_cluster_v1_Fault, Fault__Output as _dmg_cluster_v1_Fault__Output } from './dmg/cluster/v1/Fault.ts';
import type { FaultParam as _dmg_cluster_v1_FaultParam, FaultParam__Output as _dmg_cluster_v1_FaultParam__Output } from './dmg/cluster/v1/FaultParam.ts';
import type { FetchCredentialKeyRequest as _dmg_cluster_v1_FetchCredentialKeyRequest, FetchCredentialKeyRequest__Output as _dmg_cluster_v1_FetchCredentialKeyRequest__Output } from './dmg/cluster/v1/FetchCredentialKeyRequest.ts';
import type { FetchCredentialKeyResponse as _dmg_cluster_v1_FetchCredentialKeyResponse, FetchCredentialKeyResponse__Output as _dmg_cluster_v1_FetchCredentialKeyResponse__Output } from './dmg/cluster/v1/FetchCredentialKeyResponse.ts';
import type { Goodbye as _dmg_cluster_v1_Goodbye, Goodbye__Output as _dmg_cluster_v1_Goodbye__Output } from './dmg/cluster/v1/Goodbye.ts';
import type { Heartbeat as _dmg_cluster_v1_Heartbeat, Heartbeat__Output as _dmg_cluster_v1_Heartbeat__Output } from './dmg/cluster/v1/Heartbeat.ts';
import type { Hello as _dmg_cluster_v1_Hello, Hello__Output as _dmg_cluster_v1_Hello__Output } from './dmg/cluster/v1/Hello.ts';
import type { HelloAccepted as _dmg_cluster_v1_HelloAccepted, HelloAccepted__Output as _dmg_cluster_v1_HelloAccepted__Output } from './dmg/cluster/v1/HelloAccepted.ts';
import type { HelloAnswer as _dmg_cluster_v1_HelloAnswer, HelloAnswer__Output as _dmg_cluster_v1_HelloAnswer__Output } from './dmg/cluster/v1/HelloAnswer.ts';
import type { NodeFacts as _dmg_cluster_v1_NodeFacts, NodeFacts__Output as _dmg_cluster_v1_NodeFacts__Output } from './dmg/cluster/v1/NodeFacts.ts';
import type { NodeSlots as _dmg_cluster_v1_NodeSlots, NodeSlots__Output as _dmg_cluster_v1_NodeSlots__Output } from './dmg/cluster/v1/NodeSlots.ts';
import type { NodeTrouble as _dmg_cluster_v1_NodeTrouble, NodeTrouble__Output as _dmg_cluster_v1_NodeTrouble__Output } from './dmg/cluster/v1/NodeTrouble.ts';
import type { Open as _dmg_cluster_v1_Open, Open__Output as _dmg_cluster_v1_Open__Output } from './dmg/cluster/v1/Open.ts';
import type { Opened as _dmg_cluster_v1_Opened, Opened__Output as _dmg_cluster_v1_Opened__Output } from './dmg/cluster/v1/Opened.ts';
import type { ProtocolRange as _dmg_cluster_v1_ProtocolRange, ProtocolRange__Output as _dmg_cluster_v1_ProtocolRange__Output } from './dmg/cluster/v1/ProtocolRange.ts';
import type { ProtocolVersion as _dmg_cluster_v1_ProtocolVersion, ProtocolVersion__Output as _dmg_cluster_v1_ProtocolVersion__Output } from './dmg/cluster/v1/ProtocolVersion.ts';
import type { Refused as _dmg_cluster_v1_Refused, Refused__Output as _dmg_cluster_v1_Refused__Output } from './dmg/cluster/v1/Refused.ts';
import type { RequestFailed as _dmg_cluster_v1_RequestFailed, RequestFailed__Output as _dmg_cluster_v1_RequestFailed__Output } from './dmg/cluster/v1/RequestFailed.ts';
import type { RunningAttempt as _dmg_cluster_v1_RunningAttempt, RunningAttempt__Output as _dmg_cluster_v1_RunningAttempt__Output } from './dmg/cluster/v1/RunningAttempt.ts';
import type { ServerFrame as _dmg_cluster_v1_ServerFrame, ServerFrame__Output as _dmg_cluster_v1_ServerFrame__Output } from './dmg/cluster/v1/ServerFrame.ts';
import type { Supersede as _dmg_cluster_v1_Supersede, Supersede__Output as _dmg_cluster_v1_Supersede__Output } from './dmg/cluster/v1/Supersede.ts';
import type { TellAssistants as _dmg_cluster_v1_TellAssistants, TellAssistants__Output as _dmg_cluster_v1_TellAssistants__Output } from './dmg/cluster/v1/TellAssistants.ts';
import type { WorkerEvent as _dmg_cluster_v1_WorkerEvent, WorkerEvent__Output as _dmg_cluster_v1_WorkerEvent__Output } from './dmg/cluster/v1/WorkerEvent.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  dmg: {
    cluster: {
      v1: {
        AssistShare: MessageTypeDefinition<_dmg_cluster_v1_AssistShare, _dmg_cluster_v1_AssistShare__Output>
        AttemptDetails: MessageTypeDefinition<_dmg_cluster_v1_AttemptDetails, _dmg_cluster_v1_AttemptDetails__Output>
        AttemptOutcome: MessageTypeDefinition<_dmg_cluster_v1_AttemptOutcome, _dmg_cluster_v1_AttemptOutcome__Output>
        AttemptProgress: MessageTypeDefinition<_dmg_cluster_v1_AttemptProgress, _dmg_cluster_v1_AttemptProgress__Output>
        AttemptStep: EnumTypeDefinition
        Cancel: MessageTypeDefinition<_dmg_cluster_v1_Cancel, _dmg_cluster_v1_Cancel__Output>
        CancelAnswer: MessageTypeDefinition<_dmg_cluster_v1_CancelAnswer, _dmg_cluster_v1_CancelAnswer__Output>
        ClientFrame: MessageTypeDefinition<_dmg_cluster_v1_ClientFrame, _dmg_cluster_v1_ClientFrame__Output>
        Cluster: SubtypeConstructor<typeof grpc.Client, _dmg_cluster_v1_ClusterClient> & { service: _dmg_cluster_v1_ClusterDefinition }
        ConnectRefusal: EnumTypeDefinition
        Dispatch: MessageTypeDefinition<_dmg_cluster_v1_Dispatch, _dmg_cluster_v1_Dispatch__Output>
        DispatchAnswer: MessageTypeDefinition<_dmg_cluster_v1_DispatchAnswer, _dmg_cluster_v1_DispatchAnswer__Output>
        DispatcherSight: MessageTypeDefinition<_dmg_cluster_v1_DispatcherSight, _dmg_cluster_v1_DispatcherSight__Output>
        Epoch: MessageTypeDefinition<_dmg_cluster_v1_Epoch, _dmg_cluster_v1_Epoch__Output>
        Fault: MessageTypeDefinition<_dmg_cluster_v1_Fault, _dmg_cluster_v1_Fault__Output>
        FaultCategory: EnumTypeDefinition
        FaultParam: MessageTypeDefinition<_dmg_cluster_v1_FaultParam, _dmg_cluster_v1_FaultParam__Output>
        FaultRetry: EnumTypeDefinition
        FaultScope: EnumTypeDefinition
        FetchCredentialKeyRequest: MessageTypeDefinition<_dmg_cluster_v1_FetchCredentialKeyRequest, _dmg_cluster_v1_FetchCredentialKeyRequest__Output>
        FetchCredentialKeyResponse: MessageTypeDefinition<_dmg_cluster_v1_FetchCredentialKeyResponse, _dmg_cluster_v1_FetchCredentialKeyResponse__Output>
        Goodbye: MessageTypeDefinition<_dmg_cluster_v1_Goodbye, _dmg_cluster_v1_Goodbye__Output>
        Heartbeat: MessageTypeDefinition<_dmg_cluster_v1_Heartbeat, _dmg_cluster_v1_Heartbeat__Output>
        Hello: MessageTypeDefinition<_dmg_cluster_v1_Hello, _dmg_cluster_v1_Hello__Output>
        HelloAccepted: MessageTypeDefinition<_dmg_cluster_v1_HelloAccepted, _dmg_cluster_v1_HelloAccepted__Output>
        HelloAnswer: MessageTypeDefinition<_dmg_cluster_v1_HelloAnswer, _dmg_cluster_v1_HelloAnswer__Output>
        NodeFacts: MessageTypeDefinition<_dmg_cluster_v1_NodeFacts, _dmg_cluster_v1_NodeFacts__Output>
        NodeSlots: MessageTypeDefinition<_dmg_cluster_v1_NodeSlots, _dmg_cluster_v1_NodeSlots__Output>
        NodeStage: EnumTypeDefinition
        NodeTrouble: MessageTypeDefinition<_dmg_cluster_v1_NodeTrouble, _dmg_cluster_v1_NodeTrouble__Output>
        Open: MessageTypeDefinition<_dmg_cluster_v1_Open, _dmg_cluster_v1_Open__Output>
        Opened: MessageTypeDefinition<_dmg_cluster_v1_Opened, _dmg_cluster_v1_Opened__Output>
        ProgressStep: EnumTypeDefinition
        ProtocolRange: MessageTypeDefinition<_dmg_cluster_v1_ProtocolRange, _dmg_cluster_v1_ProtocolRange__Output>
        ProtocolVersion: MessageTypeDefinition<_dmg_cluster_v1_ProtocolVersion, _dmg_cluster_v1_ProtocolVersion__Output>
        RefusalReason: EnumTypeDefinition
        Refused: MessageTypeDefinition<_dmg_cluster_v1_Refused, _dmg_cluster_v1_Refused__Output>
        RequestFailed: MessageTypeDefinition<_dmg_cluster_v1_RequestFailed, _dmg_cluster_v1_RequestFailed__Output>
        RunningAttempt: MessageTypeDefinition<_dmg_cluster_v1_RunningAttempt, _dmg_cluster_v1_RunningAttempt__Output>
        ServerFrame: MessageTypeDefinition<_dmg_cluster_v1_ServerFrame, _dmg_cluster_v1_ServerFrame__Output>
        SinkState: EnumTypeDefinition
        Supersede: MessageTypeDefinition<_dmg_cluster_v1_Supersede, _dmg_cluster_v1_Supersede__Output>
        TellAssistants: MessageTypeDefinition<_dmg_cluster_v1_TellAssistants, _dmg_cluster_v1_TellAssistants__Output>
        TroubledPart: EnumTypeDefinition
        WorkerEvent: MessageTypeDefinition<_dmg_cluster_v1_WorkerEvent, _dmg_cluster_v1_WorkerEvent__Output>
      }
    }
  }
}
