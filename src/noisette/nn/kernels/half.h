/* bf16: the upper half of a float. Read exactly, written rounded to the nearest, ties to even. */
#ifndef HALF_H
#define HALF_H

#include "lanes.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

typedef unsigned short half;
typedef half hvec __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

INLINE vec widen(const half *p) { return (vec)(__builtin_convertvector(*(const hvec *)p, ivec) << 16); }

INLINE void narrow(half *p, vec v) {
#if defined(__AVX512BF16__)
  *(hvec *)p = (hvec)_mm512_cvtneps_pbh((__m512)v);
#else
  ivec bits = (ivec)v, odd = bits >> 16 & 1, rounded = bits + (odd + 0x7FFF), number = v == v;
  *(hvec *)p = __builtin_convertvector(((rounded & number) | ((bits | 0x400000) & ~number)) >> 16, hvec);
#endif
}

INLINE float widen_one(half x) {
  const union { unsigned bits; float value; } u = {(unsigned)x << 16};
  return u.value;
}

/* sigmoid(z) to 1e-4, below the rounding of bf16. */
INLINE vec sigmoid_to_half(vec z) {
#if defined(__AVX512F__)
  __m512 t = (__m512)(z * -1.44269504f), n = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  vec r = (vec)t - (vec)n, p = ((r * 0.05500877f + 0.24221062f) * r + 0.69328291f) * r + 1.0f; /* 2^r, |r| <= 1/2 */
  return (vec)_mm512_rcp14_ps((__m512)(1.0f + (vec)_mm512_scalef_ps((__m512)p, n)));
#else
  return sigmoid(z);
#endif
}

#endif
