export { fileErrors, fromFileError } from './errors.ts';
export { fileConnector } from './file-connector.ts';
export { fileSpec } from './spec.ts';
export { fileStoreId } from './store-id.ts';
