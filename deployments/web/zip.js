/** A zip writer: stored entries with their CRC-32 (PKWARE's APPNOTE 6.3.10, sections 4.3 and 4.4). */

const UTF8_NAMES = 0x0800;
const VERSION = 20;
/** 1980-01-01, zip's earliest date: the files hold no time. */
const EARLIEST = (1 << 5) | 1;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/**
 * CRC-32 with the reversed polynomial 0xEDB88320.
 * @param {Uint8Array} bytes
 * @returns {number} unsigned
 */
export function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

/**
 * Put files into one zip; images are compressed already, so nothing is compressed again.
 * @param {{name: string, bytes: Uint8Array}[]} files
 * @returns {Blob}
 */
export function zip(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, bytes } of files) {
    const nameBytes = new TextEncoder().encode(name);
    const facts = entryFacts(nameBytes, bytes);
    const head = record(0x04034b50, [[VERSION, 2], ...facts]);
    directory.push(centralRecord(facts, offset), nameBytes);
    parts.push(head, nameBytes, bytes);
    offset += head.length + nameBytes.length + bytes.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const counts = [[0, 2], [0, 2], [files.length, 2], [files.length, 2]]; // one disk, all entries on it
  const end = record(0x06054b50, [...counts, [size, 4], [offset, 4], [0, 2]]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** The fields that an entry's local header and the directory have in common, with their widths. */
function entryFacts(nameBytes, bytes) {
  const size = bytes.length;
  return [
    [UTF8_NAMES, 2], [0, 2], [0, 2], [EARLIEST, 2],
    [crc32(bytes), 4], [size, 4], [size, 4], [nameBytes.length, 2], [0, 2],
  ];
}

function centralRecord(facts, offset) {
  // Made by, needed; then: comment, disk, internal and external attributes, offset.
  return record(0x02014b50, [[VERSION, 2], [VERSION, 2], ...facts, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]]);
}

function record(signature, fields) {
  const all = [[signature, 4], ...fields];
  const view = new DataView(new ArrayBuffer(all.reduce((sum, [, width]) => sum + width, 0)));
  let at = 0;
  for (const [value, width] of all) {
    if (width === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += width;
  }
  return new Uint8Array(view.buffer);
}
