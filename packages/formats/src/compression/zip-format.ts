/** Numbers of the zip format (APPNOTE 6.3), as far as they are used here. */
export const zipSignatures = {
  localHeader: 0x04034b50, descriptor: 0x08074b50, directoryEntry: 0x02014b50, end: 0x06054b50, end64: 0x06064b50, locator64: 0x07064b50,
} as const;

export const zipFlags = { encrypted: 1, descriptor: 8, utf8: 0x800 } as const;
export const zipMethods = { stored: 0, deflated: 8 } as const;
/** Extra field that holds lengths and offsets of more than 32 bits. */
export const zip64Extra = 1;
export const full16 = 0xffff;
export const full32 = 0xffffffff;

export const localHeaderBytes = 30;
export const directoryEntryBytes = 46;
export const endBytes = 22;
export const end64Bytes = 56;
export const locator64Bytes = 20;
