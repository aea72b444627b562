// Parts of the page: gzip files, some with their bytes sorted into planes (`noisette.interop.web_weights.pack`).

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text); // browsers since 2025
  const characters = atob(text), bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

/** The bytes of a part, which a server may have unpacked already. planes: 1, or into how many they are sorted. */
async function unpack(bytes, planes) {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    bytes = new Uint8Array(await new Response(unpacked).arrayBuffer());
  }
  if (planes === 1) return bytes;
  const joined = new Uint8Array(bytes.length);
  let at = 0;
  for (let plane = 0; plane < planes; plane++)
    for (let i = plane; i < joined.length; i += planes) joined[i] = bytes[at++];
  return joined;
}
