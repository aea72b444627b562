// The noise of a seed: the numbers of `noisette.diffusion.noise.Seeded` on a CPU. BLAKE2b of the seed's decimal digits
// seeds PyTorch's generator (MT19937), whose 24-bit uniform numbers become normal ones by Box and Muller (1958).

const BLAKE2B_IV = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];
const BLAKE2B_SIGMA = [
  "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d",
  "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0",
];
const BLAKE2B_MIXES = ["048c", "159d", "26ae", "37bf", "05af", "16bc", "278d", "349e"];

/** BLAKE2b (RFC 7693) of at most 128 ASCII characters, 8 bytes, without a key: a BigInt of its bytes in their order. */
function blake2b64(text) {
  const wrap = (value) => BigInt.asUintN(64, value);
  const rotate = (value, bits) => wrap((value >> bits) | (value << (64n - bits)));
  const block = new DataView(new ArrayBuffer(128));
  for (let i = 0; i < text.length; i++) block.setUint8(i, text.charCodeAt(i));
  const m = Array.from({length: 16}, (_, i) => block.getBigUint64(8 * i, true));
  const h = [...BLAKE2B_IV];
  h[0] ^= 0x01010000n ^ 8n;
  const v = [...h, ...BLAKE2B_IV];
  v[12] ^= BigInt(text.length);
  v[14] = wrap(~v[14]);
  for (let round = 0; round < 12; round++) {
    const order = BLAKE2B_SIGMA[round % 10];
    BLAKE2B_MIXES.forEach((places, i) => {
      const [a, b, c, d] = [...places].map((digit) => parseInt(digit, 16));
      const [x, y] = [order[2 * i], order[2 * i + 1]].map((digit) => m[parseInt(digit, 16)]);
      v[a] = wrap(v[a] + v[b] + x);
      v[d] = rotate(v[d] ^ v[a], 32n);
      v[c] = wrap(v[c] + v[d]);
      v[b] = rotate(v[b] ^ v[c], 24n);
      v[a] = wrap(v[a] + v[b] + y);
      v[d] = rotate(v[d] ^ v[a], 16n);
      v[c] = wrap(v[c] + v[d]);
      v[b] = rotate(v[b] ^ v[c], 63n);
    });
  }
  const digest = new DataView(new ArrayBuffer(8));
  digest.setBigUint64(0, h[0] ^ v[0] ^ v[8], true);
  return digest.getBigUint64(0, false);
}

/** The noise of one picture. `seed`: a whole number from 0, as text or number. */
class SeededNoise {
  constructor(seed) {
    this.state = new Uint32Array(624);
    this.state[0] = Number(BigInt.asUintN(32, blake2b64(String(seed)) >> 1n)); // PyTorch takes the lower 32 bits
    for (let i = 1; i < 624; i++) {
      const last = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = Math.imul(1812433253, last) + i;
    }
    this.next = 624;
  }

  twist() {
    const s = this.state;
    for (let i = 0; i < 624; i++) {
      const y = (s[i] & 0x80000000) | (s[(i + 1) % 624] & 0x7fffffff);
      s[i] = s[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }

  /** Uniform in [0, 1), a multiple of 2^-24. */
  uniform() {
    if (this.next === 624) this.twist();
    let y = this.state[this.next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return (y & 0xffffff) / 0x1000000;
  }

  /** The next `count` standard normal numbers of the stream, at least 16, as `torch.randn` draws them. */
  normal(count) {
    const data = new Float32Array(count);
    const fill = (first) => {
      for (let i = first; i < first + 8; i++) {
        const radius = Math.sqrt(-2 * Math.log(1 - data[i])), angle = 2 * Math.PI * data[i + 8];
        data[i] = radius * Math.cos(angle);
        data[i + 8] = radius * Math.sin(angle);
      }
    };
    for (let i = 0; i < count; i++) data[i] = this.uniform();
    for (let i = 0; i + 16 <= count; i += 16) fill(i);
    if (count % 16) { // the last 16 are drawn again
      for (let i = count - 16; i < count; i++) data[i] = this.uniform();
      fill(count - 16);
    }
    return data;
  }
}
