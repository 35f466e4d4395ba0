export { httpsErrors } from './errors.ts';
export { type CallOptions, HttpsJsonClient, type HttpsJsonOptions } from './https-json-client.ts';
