import type { Connector } from '@dmg/connector-api';
import { azureBlobConnector } from '@dmg/connector-azure-blob';
import { fileConnector } from '@dmg/connector-file';

/** The stores this node can reach. A new connector is one line here and one in the control plane's list of specs. */
export const connectors: ReadonlyMap<string, Connector> = new Map(
  [fileConnector, azureBlobConnector].map((connector) => [connector.spec.name, connector]),
);
