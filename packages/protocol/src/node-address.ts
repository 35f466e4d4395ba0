import { isIP } from 'node:net';

/** Host and port of an address such as `10.0.0.5:8060`, `node-a:8060`, `[::1]:8060`; undefined when it is none. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

export function formatAddress(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True for 127.0.0.0/8 and ::1, also where an IPv4 address is written as an IPv6 one. Names are not looked up: they are never. */
export function isLoopback(host: string): boolean {
  const plain = host.startsWith('::ffff:') ? host.slice('::ffff:'.length) : host;
  return isIP(plain) === 4 ? plain.startsWith('127.') : plain === '::1';
}
