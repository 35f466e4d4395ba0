export { azureBlobConnector } from './azure-blob-connector.ts';
export { azureBlobErrors } from './errors.ts';
export { azureBlobSpec } from './spec.ts';
