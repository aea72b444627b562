"""A folder of pictures, packed by the browser.

A browser sends the files of a folder without the sub-folders that they lie in, which are their labels. So the page
packs them into a zip, unpressed, and puts that into the field for uploads, as if it had been chosen there.
"""

FOLDER = """
<label class="n-folder">Choose a folder, its sub-folders are labels
  <input type="file" webkitdirectory multiple></label>
<p class="n-status" role="status"></p>
"""

PACK = """
const input = element.querySelector('input'), words = element.querySelector('.n-status');
const table = new Uint32Array(256).map((_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});
function crc(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) c = table[(c ^ byte) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}
function record(signature, numbers) {  // pairs of a size in bytes and a value, little-endian
  const view = new DataView(new ArrayBuffer(4 + numbers.reduce((sum, [size]) => sum + size, 0)));
  view.setUint32(0, signature, true);
  let at = 4;
  for (const [size, value] of numbers) {
    size === 2 ? view.setUint16(at, value, true) : view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}
async function packed(files) {
  const parts = [], central = [];
  let offset = 0, wide = 0;
  for (const file of files) {
    const name = new TextEncoder().encode(file.webkitRelativePath.split('/').slice(1).join('/'));
    const bytes = new Uint8Array(await file.arrayBuffer());
    // version 2.0, names in UTF-8, not pressed, 1980-01-01
    const common = [[2, 20], [2, 0x800], [2, 0], [2, 0], [2, 33], [4, crc(bytes)], [4, bytes.length],
      [4, bytes.length], [2, name.length], [2, 0]];
    const head = record(0x04034b50, common);
    central.push(record(0x02014b50, [[2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]), name);
    parts.push(head, name, bytes);
    offset += head.length + name.length + bytes.length;
  }
  for (const part of central) wide += part.length;
  const counts = [[2, 0], [2, 0], [2, files.length], [2, files.length]];
  const end = record(0x06054b50, [...counts, [4, wide], [4, offset], [2, 0]]);
  return new File([...parts, ...central, end], 'folder.zip', {type: 'application/zip'});
}
input.addEventListener('change', async () => {
  const files = Array.from(input.files).filter((file) => !file.name.startsWith('.'));
  const size = files.reduce((sum, file) => sum + file.size, 0);
  input.value = '';
  if (!files.length) return;
  if (files.length > MANY || size > LARGEST) {
    words.textContent = files.length + ' files are too many or too large';
    return;
  }
  const field = document.querySelector('#files input[type=file]');
  if (!field) { words.textContent = 'Remove what was chosen before, then choose a folder'; return; }
  words.textContent = 'Packing ' + files.length + ' files';
  const chosen = new DataTransfer();
  chosen.items.add(await packed(files));
  field.files = chosen.files;
  field.dispatchEvent(new Event('change', {bubbles: true}));
  words.textContent = files.length + ' files are packed';
});
"""
