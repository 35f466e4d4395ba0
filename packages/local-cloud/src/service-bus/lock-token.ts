/**
 * Lock tokens have two byte orders on the wire: management requests carry a UUID in plain order, delivery tags the same
 * token as .NET writes a GUID, its first three groups reversed. Inside they are the 32 hex digits of the plain order.
 */
const netOrder = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

export function tokenFromUuid(uuid: Uint8Array): string {
  return Buffer.from(uuid).toString('hex');
}

export function uuidFromToken(token: string): Buffer {
  return Buffer.from(token, 'hex');
}

export function tagFromToken(token: string): Buffer {
  const plain = Buffer.from(token, 'hex');
  return Buffer.from(netOrder.map((index) => plain[index] ?? 0));
}
