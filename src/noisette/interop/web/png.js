// PNG files with the chunks that Noisette's own have: who made them, in words and in XMP, and the picture's record.

const PNG_COLOR_TYPES = {L: 0, LA: 4, RGB: 2, RGBA: 6};
const CRC_TABLE = Uint32Array.from({length: 256}, (_, value) => {
  for (let i = 0; i < 8; i++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

function joinBytes(...parts) {
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function pngChunk(kind, content) {
  const body = joinBytes(new TextEncoder().encode(kind), content), chunk = new Uint8Array(body.length + 8);
  new DataView(chunk.buffer).setUint32(0, content.length);
  chunk.set(body, 4);
  new DataView(chunk.buffer).setUint32(body.length + 4, crc32(body));
  return chunk;
}

/** An iTXt chunk, not compressed. */
const pngText = (keyword, text) => pngChunk("iTXt", new TextEncoder().encode(`${keyword}\0\0\0\0\0${text}`));

/**
 * A PNG file. pixels: height × width × channels bytes with straight alpha. mode: L, LA, RGB or RGBA. texts: keyword →
 * text, of iTXt chunks.
 */
async function encodePng(pixels, width, height, mode, texts) {
  const row = pixels.length / height, raw = new Uint8Array((row + 1) * height);
  for (let y = 0; y < height; y++) raw.set(pixels.subarray(y * row, (y + 1) * row), y * (row + 1) + 1);
  const packed = new Response(new Blob([raw]).stream().pipeThrough(new CompressionStream("deflate")));
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header.set([8, PNG_COLOR_TYPES[mode], 0, 0, 0], 8);
  return joinBytes(
    Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10),
    pngChunk("IHDR", header),
    pngChunk("tEXt", new TextEncoder().encode("Software\0noisette")),
    ...Object.entries(texts).map(([keyword, text]) => pngText(keyword, text)),
    pngChunk("IDAT", new Uint8Array(await packed.arrayBuffer())),
    pngChunk("IEND", new Uint8Array()),
  );
}
