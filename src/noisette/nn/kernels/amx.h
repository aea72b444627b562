/* Matrix products in bf16 with the tile registers of Intel's AMX: 8 registers of 16 rows of 64 bytes.

   One instruction adds the product of A (16 x 32, bf16) and B (32 x 16, bf16, pairs of rows interleaved: 16 x 16 x 2) to
   C (16 x 16, fp32). Here four C form a square: registers 0 to 3; A is in 4 and 5, B in 6 and 7. */
#ifndef AMX_H
#define AMX_H

#include "half.h"

#if defined(__linux__) && defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define AMX 1
#include <immintrin.h>
#include <string.h>

#define TILE 512   /* bf16 values in a register */
#define SQUARE 256 /* fp32 values in a register */
#define PANEL 32   /* columns of a square of registers */

INLINE long up_to(long n, long multiple) { return (n + multiple - 1) / multiple * multiple; }

INLINE long least(long a, long b) { return a < b ? a : b; }

/* Every thread calls this before its first product, and `_tile_release()` after its last. */
INLINE void tiles_begin(void) {
  struct {
    unsigned char palette, start, zeros[14];
    unsigned short bytes[16];
    unsigned char rows[16];
  } config __attribute__((aligned(64))) = {.palette = 1};
  for (int i = 0; i < 8; i++) config.bytes[i] = 64, config.rows[i] = 16;
  _tile_loadconfig(&config);
}

/* C += A B for m x n registers of C; `step` is the distance between rows of a in bytes; rows of b are contiguous. */
INLINE void tiles_add(const half *a0, const half *a1, long step, const half *b0, const half *b1, int m, int n) {
  _tile_loadd(6, b0, 64);
  _tile_loadd(4, a0, step);
  _tile_dpbf16ps(0, 4, 6);
  if (m > 1) {
    _tile_loadd(5, a1, step);
    _tile_dpbf16ps(2, 5, 6);
  }
  if (n > 1) {
    _tile_loadd(7, b1, 64);
    _tile_dpbf16ps(1, 4, 7);
    if (m > 1) _tile_dpbf16ps(3, 5, 7);
  }
}

INLINE void tiles_zero(void) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

/* m x n registers of C from or to memory: rows are `step` floats apart, registers `down` and `right` floats. */
INLINE void tiles_load(const float *c, long step, long down, long right, int m, int n) {
  _tile_loadd(0, c, 4 * step);
  if (n > 1) _tile_loadd(1, c + right, 4 * step);
  if (m > 1) _tile_loadd(2, c + down, 4 * step);
  if (m > 1 && n > 1) _tile_loadd(3, c + down + right, 4 * step);
}

INLINE void tiles_store(float *c, long step, long down, long right, int m, int n) {
  _tile_stored(0, c, 4 * step);
  if (n > 1) _tile_stored(1, c + right, 4 * step);
  if (m > 1) _tile_stored(2, c + down, 4 * step);
  if (m > 1 && n > 1) _tile_stored(3, c + down + right, 4 * step);
}

INLINE void multiply_some(const half *a, long a_step, const half *b, float *c, long c_step, long depth, int m, int n) {
  tiles_zero();
  for (long k = 0; k < depth; k += 32)
    tiles_add(a + k, a + 16 * a_step + k, 2 * a_step, b + k * 16, b + (depth + k) * 16, m, n);
  tiles_store(c, c_step, 16 * c_step, 16, m, n);
}

/* c = a b: a (rows, depth) and c (rows, columns) row by row, `step` values apart; b (blocks of 16 columns, depth, 16),
   interleaved. Rows and columns are multiples of 16, depth is one of 32. */
static inline void multiply(const half *a, long a_step, const half *b, float *c, long c_step, long rows, long columns, long depth) {
  for (long j = 0; j < columns; j += 32)
    for (long i = 0; i < rows; i += 32) {
      const int m = i + 16 < rows, n = j + 16 < columns;
      const half *from = a + i * a_step, *with = b + j * depth;
      float *to = c + i * c_step + j;
      if (m && n) multiply_some(from, a_step, with, to, c_step, depth, 2, 2);
      else if (m) multiply_some(from, a_step, with, to, c_step, depth, 2, 1);
      else if (n) multiply_some(from, a_step, with, to, c_step, depth, 1, 2);
      else multiply_some(from, a_step, with, to, c_step, depth, 1, 1);
    }
}

/* Up to 16 bf16 values (those in the mask), each in the lower half of 32 bits. */
INLINE __m512i words(const half *p, __mmask16 there) { return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(there, p)); }

INLINE __mmask16 leading(long n) { return n >= 16 ? 0xFFFF : (1 << n) - 1; }

/* Two rows, interleaved. */
INLINE __m512i pair(__m512i one, __m512i two) { return _mm512_or_si512(one, _mm512_slli_epi32(two, 16)); }

/* 16 x 16 values of 32 bits, transposed: pairs of rows, pairs of pairs, then halves and quarters of registers. */
INLINE void transpose(__m512i *r) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]), t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; j++)
      r[i + 2 * j] = _mm512_unpacklo_epi64(t[i + j], t[i + j + 2]), r[i + 2 * j + 1] = _mm512_unpackhi_epi64(t[i + j], t[i + j + 2]);
  for (int i = 0; i < 16; i += 8)
    for (int j = 0; j < 4; j++)
      t[i + j] = _mm512_shuffle_i32x4(r[i + j], r[i + j + 4], 0x88), t[i + j + 4] = _mm512_shuffle_i32x4(r[i + j], r[i + j + 4], 0xDD);
  for (int j = 0; j < 8; j++)
    r[j] = _mm512_shuffle_i32x4(t[j], t[j + 8], 0x88), r[j + 8] = _mm512_shuffle_i32x4(t[j], t[j + 8], 0xDD);
}

/* Write a register of C plus bias and `onto` to `rows` rows of y, `step` values apart; `onto` may be NULL. */
INLINE void finish(const float *c, long rows, long columns, const float *bias, const half *onto, half *y, long step) {
  const __mmask16 there = leading(columns);
  const __m512 offset = bias ? _mm512_maskz_loadu_ps(there, bias) : _mm512_setzero_ps();
  for (long r = 0; r < rows; r++) {
    __m512 v = _mm512_add_ps(_mm512_loadu_ps(c + 16 * r), offset);
    if (onto) v = _mm512_add_ps(v, (__m512)_mm512_slli_epi32(words(onto + r * step, there), 16));
    half all[16];
    narrow(all, (vec)v);
    _mm256_mask_storeu_epi16(y + r * step, there, *(__m256i_u *)all);
  }
}

/* x (rows, columns) as b of `multiply`, with rows along the depth, padded with zeros to `depth`. */
static inline void as_rows(const half *x, long step, long rows, long columns, long depth, half *b) {
  for (long j = 0; j < columns; j += 16)
    for (long i = 0; i < depth; i += 2, b += 32) {
      const __mmask16 there = leading(columns - j);
      _mm512_storeu_si512(b, pair(words(x + i * step + j, i < rows ? there : 0), words(x + (i + 1) * step + j, i + 1 < rows ? there : 0)));
    }
}

/* x (rows, depth), transposed, as b of `multiply`, padded with zeros to `columns`, a multiple of 16. */
static inline void as_columns(const half *x, long step, long rows, long columns, long depth, half *b) {
  for (long i = 0; i < columns; i += 16)
    for (long j = 0; j < depth; j += 32, b += TILE) {
      __m512i r[16];
      for (long k = 0; k < 16; k++) r[k] = i + k < rows ? _mm512_loadu_si512(x + (i + k) * step + j) : _mm512_setzero_si512();
      transpose(r);
      for (long k = 0; k < 16; k++) _mm512_storeu_si512(b + 32 * k, r[k]);
    }
}

#endif
#endif
