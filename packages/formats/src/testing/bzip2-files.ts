/**
 * Files that the program bzip2 (level 1, blocks of 100,000 bytes) has made: `table` is of several blocks, `runs` of the same byte
 * from 0 to 310 times, `bytes` of every byte.
 */
export const bzip2Files = {
  empty:
    'QlpoMRdyRThQkAAAAAA=',
  table:
    'QlpoMTFBWSZTWfMbSrQAIt7ZgAAQQAB/CCIDiAAwALgKYACaFMABNApVIMNGhzUhA0USOdJFVL/hRI1qJHxRI2USN1EjhRIwokZKEDNSEDFIQOyhAyUIHhQg' +
    'eFCB6YoKyTKaygfxnvADtHrMAACCAAP4QRAcQAGABcBTAATQpgAJoFKlGjNTNTOakIGChAyokbKJHxRI+1EjdRI4USMqJHrVIQNChA0USOcVVFT+UIGqQgdl' +
    'CB2UIHhigrJMprMeuc/qABZXswAAIIAA/hBEBxAAQAEgUwAE0ClSjQ2iep6ndSRTGEqVgQS85lSsFSvRUr2VK+FSuZUrMqVqIJahBLUQS/CCWoglsQS2IJfx' +
    'dyRThQkMLNqpoA==',
  runs:
    'QlpoMTFBWSZTWfgCKGwAAF////99/9ftL3ROv///9UfmJj0a5ZB9linQ5uYHVY8hpaN4QAKWdwbMOAkpSmjNTeRTIaDQA0GgAAeo009Q2oYJo2pmieiPUZPF' +
    'NNPSeSbCamTZNJmmmp6RjUKqepnqJ6ZR6fqp+qfqfqp/qoAAAABoDRoyAAAAAAAAAAAAAAVqKN6mTyCT02k1AAAAAAABoAAAAAAAAAAAaAPU9QZSoAbKBoNH' +
    'qAaGj1DRo0xGmhpkAAAAAAABoAANAAAaTdIalM5dUtQ0eOXJnplKd2yaMmTRdd+dO3rpmzZs6l5Wu27dddetSlZKRjXrny6DtdZFGwfKKLrpsMDPPG7VKUZS' +
    'oKqqqsqQTx4YxjPXrplRRlNNZYgCFs/CZtLuupa/pHxAABGAActjSRIgk6IUpRAGewfHoBXklFnEvM+OY4DV+ZaD1IAGcJLFmnv/avl4OnmXbN0wAFFHAHaS' +
    'Tx3Sh51v35m17bu41W0B3XrhJ4knb70zpMbGt76nhP5jYC3AOmAOn77Uv8DInbMmFKiNgjksS54gd48KrnU/zmQe5BjUm0ItRBq3G6MmT/aOflz7b0P2wFBR' +
    'CgOBDqYzosk5Wz9tHMzdejKbBFewRxlasFXVkuPMqXllRr7nSnNgj8MEQ1xGCd6VXRnearsVNOnotIKTBGgxBZosmCKthTZVqfzYc1Nfa17RtIQPwAH6TRzX' +
    '014tfrThtsoAICgkcICuUnA0RlRIQUCIQkjgAHSXqAYqHWyC2DUjV0iuUSBAfIID4kpzaJhC9gqwnmCs6qkCBDIIDwksmcAGzSlaSbZqsbJAA8xJWN6hNy7c' +
    '1da6dO0iEPQTb67vrm7vX19eXvqaAUQIrAHWDhwMXb4eFiQYOJg1oC94WLEh1CxouPDrseLDiRWhLfsSYHys3CQ4dx8jKyfvGkR5EhpCPWkvI3Ml2M2VLzZs' +
    '26aQjLEDX6n0NDFnz6Hbe0GhBgIm37gDUZrUaWfTuKWs5p7kQacGBaeOsrLCwrdO83l1bUX7XFcuZnLeeDgklVWun0IEQBVVCFFEpUU6ewAQgiYYACJVU5yJ' +
    '/f0pEYFBEACIiALLEQAwwRCKywi1anORMMESywiqqRCKUkRzkTVqRCJElKigAAMMABEc6EJSLY7hs0RAGIxl0ODODJbkY0EYYGCg0uC/xdyRThQkPgCKGwA=',
  bytes:
    'QlpoMTFBWSZTWeWjwewAAAH/////////////////////////////////////////////wAIcAAEmAAmAAJgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' +
    'kwAEwABMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEmAAmAAJgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAFVVQEwEwAAAAAAAAAAAAAAAAAAAAA' +
    'AAAAAAAAAAAAAAAAAAD+kBIEQMghBT/iDEHIQQkhRCyGH/kNIcQ8iBESJETIoRUixFyMEZI0RsjhHSPEfJASEkRIySElJMSclBKSVErJYS0lxLyYExJkTMmh' +
    'NSbE3JwTknROyeE9J8T8oBQShFDKIUUoxRykFJKUUsphTSnFPKgVEqRUyqFVKsVcrBWStFbK4V0rxXywFhLEWMshZSzFnLQWktRay2FtLcW8uBcS5FzLoXUu' +
    'xdy8F5L0XsvhfS/F/MAYEwRgzCGFMMYcxBiTFGLMYY0xxjzIGRMkZMyhlTLGXMwZkzRmzOGdM8Z80BoTRGjNIaU0xpzUGpNUas1hrTXGvNgbE2RszaG1Nsbc' +
    '3BuTdG7N4b03xvzgHBOEcM4hxTjHHOQck5RyzmHNOcc86B0TpHTOodU6x1zsHZO0ds7h3TvHfPAeE8R4zyHlPMec9B6T1HrPYe09x7z4HxPkfM+h9T7H3Pwf' +
    'k/R+z+H9P8LuSKcKEhy0eD2A',
} as const;

export const bzip2Contents: { readonly [name in keyof typeof bzip2Files]: Buffer } = {
  empty: Buffer.alloc(0),
  table: Buffer.from(Array.from({ length: 20_000 }, (_, row) => `${row % 7};some name\n`).join('')),
  runs: Buffer.concat(Array.from({ length: 300 }, (_, run) => Buffer.alloc((run * run) % 311, 65 + (run % 26)))),
  bytes: Buffer.from(Array.from({ length: 1024 }, (_, index) => index % 256)),
};
