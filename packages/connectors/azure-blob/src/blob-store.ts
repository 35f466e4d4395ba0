import { isIP } from 'node:net';
import { type Clock, isDmgError, withDeadline } from '@dmg/base';
import { type ConnectorContext, connectorErrors, textOf } from '@dmg/connector-api';
import type { CopyEnd } from '@dmg/model';
import { AnonymousCredential, ContainerClient, type StoragePipelineOptions, StorageSharedKeyCredential } from '@azure/storage-blob';
import { fromStorageError } from './errors.ts';

/** A container and the way to call it: every call with a deadline, every error in our words. */
export class BlobStore {
  readonly container: ContainerClient;
  /** A client that never sends a request twice: for blocks, whose repetitions must have another id. */
  readonly onceContainer: ContainerClient;
  /** Account host and container, for messages. */
  readonly name: string;
  readonly #clock: Clock;
  readonly #callLimitMs: number;
  readonly #closing = new AbortController();

  private constructor(clients: { container: ContainerClient; once: ContainerClient }, name: string, context: ConnectorContext) {
    this.container = clients.container;
    this.onceContainer = clients.once;
    this.name = name;
    this.#clock = context.clock;
    this.#callLimitMs = context.callLimitMs;
  }

  /** Makes a client; does not call the store. */
  static open(end: CopyEnd, context: ConnectorContext): BlobStore {
    const containerName = textOf(end.location, 'container');
    if (containerName === undefined) {
      throw connectorErrors.BAD_SETTING.create({
        name: 'container', reason: 'it is missing', remedy: 'Name the container in the location of the dataset.',
      });
    }
    const access = accessOf(context.secrets);
    refusePlainHttp(access.endpoint);
    const base = `${access.endpoint.origin}${access.endpoint.pathname.replace(/\/+$/, '')}/${encodeURIComponent(containerName)}`;
    const clientOf = (maxTries: number): ContainerClient => {
      const options: StoragePipelineOptions = {
        retryOptions: { maxTries, tryTimeoutInMs: context.callLimitMs, retryDelayInMs: 100, maxRetryDelayInMs: 1000 },
        userAgentOptions: { userAgentPrefix: 'data-management-gateway' },
      };
      if (access.key !== undefined) {
        return new ContainerClient(base, new StorageSharedKeyCredential(access.key.account, access.key.key), options);
      }
      return new ContainerClient(access.sas === '' ? base : `${base}?${access.sas}`, new AnonymousCredential(), options);
    };
    return new BlobStore({ container: clientOf(3), once: clientOf(1) }, `${access.endpoint.host}/${containerName}`, context);
  }

  /** Runs one call to the service; `path` is what it is about. Errors come out mapped, but for those that `keep` wants to see. */
  async call<T>(
    call: { what: string; path: string; signal: AbortSignal; keep?: (error: unknown) => boolean },
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const signal = AbortSignal.any([call.signal, this.#closing.signal]);
    try {
      return await withDeadline({ clock: this.#clock, limitMs: this.#callLimitMs, what: `${call.what} ${this.name}`, signal }, work);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (isDmgError(error) || call.keep?.(error)) throw error;
      throw fromStorageError(error, { path: call.path, store: this.name });
    }
  }

  /** Ends the calls under way. */
  close(): void {
    this.#closing.abort(connectorErrors.UNREACHABLE.create({ store: this.name, reason: 'its client was closed' }));
  }
}

interface Access {
  /** The account; path-style for an emulator. */
  readonly endpoint: URL;
  readonly key: { readonly account: string; readonly key: string } | undefined;
  /** Without `?`. */
  readonly sas: string;
}

const emulatorAccount = 'devstoreaccount1';

function accessOf(secrets: ReadonlyMap<string, string>): Access {
  const sasUri = secrets.get('sasUri');
  const sasToken = secrets.get('sasToken')?.replace(/^\?/, '') ?? '';
  if (sasUri !== undefined) return accessOfSasUri(sasUri, sasToken);
  const connectionString = secrets.get('connectionString');
  if (connectionString === undefined) {
    throw badSetting('connectionString', 'the linked service has neither a connection string nor a SAS URI', 'Give one of the two.');
  }
  const parts = new Map<string, string>();
  for (const part of connectionString.split(';')) {
    const cut = part.indexOf('=');
    if (cut > 0) parts.set(part.slice(0, cut).trim().toLowerCase(), part.slice(cut + 1).trim());
  }
  const account = parts.get('accountname');
  const sas = parts.get('sharedaccesssignature')?.replace(/^\?/, '') ?? sasToken;
  const protocol = parts.get('defaultendpointsprotocol') ?? 'https';
  const endpoint = parts.get('blobendpoint') ?? (
    account === undefined ? '' : `${protocol}://${account}.blob.${parts.get('endpointsuffix') ?? 'core.windows.net'}`
  );
  if (!URL.canParse(endpoint)) {
    throw badSetting(
      'connectionString', 'it has neither an AccountName nor a valid BlobEndpoint', 'Copy it from the access keys of the storage account.',
    );
  }
  const key = parts.get('accountkey') ?? secrets.get('accountKey');
  if (key === undefined) return { endpoint: new URL(endpoint), key: undefined, sas };
  if (account === undefined) throw badSetting(
    'connectionString', 'it has no AccountName', 'Copy it from the access keys of the storage account.',
  );
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(key)) throw badSetting(
    'accountKey', 'it is not Base64', 'Copy it from the access keys of the storage account.',
  );
  return { endpoint: new URL(endpoint), key: { account, key }, sas: '' };
}

/** The URI names the account or a container; the container of the location counts. */
function accessOfSasUri(sasUri: string, sasToken: string): Access {
  if (!URL.canParse(sasUri)) throw badSetting('sasUri', 'it is not a URI', 'Copy the SAS URI of the account or container.');
  const uri = new URL(sasUri);
  const pathStyle = isIP(uri.hostname.replace(/^\[|\]$/g, '')) !== 0 || uri.hostname === 'localhost';
  const account = pathStyle ? `/${uri.pathname.split('/')[1] ?? ''}` : '';
  return { endpoint: new URL(account, uri.origin), key: undefined, sas: uri.search.slice(1) || sasToken };
}

/** Plain HTTP is for an emulator: on this machine or under the emulator's account. */
function refusePlainHttp(endpoint: URL): void {
  if (endpoint.protocol === 'https:') return;
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(endpoint.hostname) || endpoint.pathname.startsWith(`/${emulatorAccount}`);
  if (endpoint.protocol === 'http:' && local) return;
  throw badSetting(
    'connectionString', `${endpoint.host} would be called without encryption`, 'Use https (DefaultEndpointsProtocol=https).',
  );
}

function badSetting(name: string, reason: string, remedy: string): Error {
  return connectorErrors.BAD_SETTING.create({ name, reason, remedy });
}
