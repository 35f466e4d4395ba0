import type { ErrorParams, Fault } from '@dmg/base';
import type { Fault as WireFault, Fault__Output } from '../generated/dmg/cluster/v1/Fault.ts';
import type { FaultParam, FaultParam__Output } from '../generated/dmg/cluster/v1/FaultParam.ts';
import { bad, enumCodec, readMessage, readText } from './fields.ts';

const categories = enumCodec('Fault.category', {
  config: 'FAULT_CATEGORY_CONFIG', transient: 'FAULT_CATEGORY_TRANSIENT', system: 'FAULT_CATEGORY_SYSTEM',
} as const satisfies Record<Fault['category'], Fault__Output['category']>);

const retries = enumCodec('Fault.retry', {
  never: 'FAULT_RETRY_NEVER', backoff: 'FAULT_RETRY_BACKOFF', reconnect: 'FAULT_RETRY_RECONNECT',
} as const satisfies Record<Fault['retry'], Fault__Output['retry']>);

const scopes = enumCodec('Fault.scope', {
  row: 'FAULT_SCOPE_ROW', batch: 'FAULT_SCOPE_BATCH', attempt: 'FAULT_SCOPE_ATTEMPT', job: 'FAULT_SCOPE_JOB', node: 'FAULT_SCOPE_NODE',
} as const satisfies Record<Fault['scope'], Fault__Output['scope']>);

export function encodeFault(fault: Fault): WireFault {
  const { code, message, fix, params, detail } = fault;
  const fields = {
    code,
    category: categories.encode(fault.category),
    retry: retries.encode(fault.retry),
    scope: scopes.encode(fault.scope),
    message,
    fix,
    params: Object.entries(params).map(encodeParam),
  } satisfies Required<Omit<WireFault, 'detail' | '_detail'>>;
  return detail === undefined ? fields : { ...fields, detail };
}

export function decodeFault(field: string, wire: Fault__Output | null | undefined): Fault {
  const { code, category, retry, scope, message, fix, params, detail } = readMessage(field, wire);
  const fault: Fault = {
    code: readText('Fault.code', code),
    category: categories.decode(category),
    retry: retries.decode(retry),
    scope: scopes.decode(scope),
    message: readText('Fault.message', message),
    fix,
    params: Object.fromEntries(params.map(decodeParam)),
  };
  return detail === undefined ? fault : { ...fault, detail };
}

function encodeParam([name, value]: [string, ErrorParams[string]]): FaultParam {
  if (typeof value === 'string') return { name, text: value };
  return typeof value === 'number' ? { name, number: value } : { name, flag: value };
}

function decodeParam({ name, value, text, number, flag }: FaultParam__Output): [string, ErrorParams[string]] {
  const found = value === 'text' ? text : value === 'number' ? number : flag;
  if (found === undefined) throw bad('FaultParam.value', 'missing');
  return [name, found];
}
