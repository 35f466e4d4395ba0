/** What stands where a secret was, as Azure shows it. */
export const secretMask = '**********';

/** True for text that `maskText` has made: the secret stored before is meant. */
export function isMasked(text: string): boolean {
  return text.includes(secretMask);
}

/** Parts of connection strings that are no secrets. All other parts are masked. */
const openParts = new Set([
  'defaultendpointsprotocol', 'accountname', 'endpointsuffix', 'blobendpoint', 'queueendpoint', 'tableendpoint', 'fileendpoint',
  'usedevelopmentstorage',
  'host', 'server', 'port', 'database', 'uid', 'user id', 'username', 'ssl mode', 'sslmode', 'encryptionmethod',
  'validateservercertificate', 'trust server certificate', 'timeout', 'command timeout',
]);

/**
 * A secret property's text with all that is secret masked: of a connection string the parts known to be harmless are kept, of a URI
 * all but query and user; anything else is masked whole.
 */
export function maskText(text: string): string {
  if (text === '') return text;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return maskUri(text);
  // In quotes or braces a part may hold semicolons.
  if (/["'{}]/.test(text) || !text.includes('=') || !text.includes(';')) return secretMask;
  return text
    .split(';')
    .map((part) => {
      const at = part.indexOf('=');
      const key = part.slice(0, Math.max(0, at)).trim().toLowerCase();
      if (part.trim() === '') return part;
      if (at < 0) return secretMask;
      const value = part.slice(at + 1);
      if (!openParts.has(key)) return /^[a-z ]{1,40}$/.test(key) ? `${part.slice(0, at)}=${secretMask}` : secretMask;
      return /:\/\//.test(value) ? `${part.slice(0, at)}=${maskUri(value)}` : part;
    })
    .join(';');
}

function maskUri(text: string): string {
  const match = /^([a-z][a-z0-9+.-]*:\/\/)(?:[^/?#]*@)?([^?#]*)([?#].*)?$/is.exec(text);
  if (match === null || /[@;]/.test(match[2] ?? '')) return secretMask;
  const open = `${match[1]}${match[2]}`;
  return match[3] === undefined ? open : `${open}?${secretMask}`;
}

/** True for names under which people keep secrets. */
export function soundsSecret(name: string): boolean {
  return /password|pwd|secret|token|credential|connection\s*string|account\s*key|access\s*key|api\s*key|sas|signature/i.test(name);
}

/** True for text that looks as if it held a secret, wherever it stands. */
export function looksSecret(text: string): boolean {
  return /(accountkey|password|pwd|sharedaccess\w*|secret|sig)\s*=/i.test(text) || /:\/\/[^/\s]*:[^/\s]*@/.test(text);
}
