/* Vectors of floats as wide as this machine's registers, and e^x of them.

   Numbers of channels are multiples of 16, hence of LANES on every machine. */
#ifndef LANES_H
#define LANES_H

#if defined(__AVX512F__)
#define LANES 16
#define ROWS 12 /* rows of the matrix product's register block, which is two vectors wide */
#define REST 4  /* rows of the smaller block, for what ROWS leaves of a multiple of 16 */
#elif defined(__AVX__)
#define LANES 8
#define ROWS 6
#define REST 2
#elif defined(__aarch64__)
#define LANES 4
#define ROWS 8
#define REST 8
#else
#define LANES 4
#define ROWS 6
#define REST 2
#endif

/* Unroll the following loop, so that its variables stay in registers: EACH(times) for (...) */
#define EACH(times) _Pragma(WORD(GCC unroll times))
#define WORD(x) #x
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE vec load(const float *p) { return *(const vec *)p; }
INLINE void store(float *p, vec v) { *(vec *)p = v; }
INLINE vec all(float x) { return x - (vec){0}; }
INLINE vec choose(ivec where, vec yes, vec no) { return (vec)((where & (ivec)yes) | (~where & (ivec)no)); }

/* e^x for |x| <= 80, to 2 units in the last place: 2^n times a polynomial in the rest. */
INLINE vec exponential(vec x) {
  const vec shift = all(12582912.0f); /* adding it rounds to an integer, which is then in the low bits */
  vec t = x * 1.44269504f + shift, n = t - shift;
  vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return (vec)((ivec)p + ((ivec)t << 23));
}

/* 1 / (1 + e^-z). The quotient is computed by Newton's method, since a vector division takes as long as all the rest. */
INLINE vec sigmoid(vec z) {
  z = choose(z < -80.0f, all(-80.0f), z);
  z = choose(z > 80.0f, all(80.0f), z);
  vec d = 1.0f + exponential(-z), q = (vec)(0x7EF311C7 - (ivec)d);
  for (int i = 0; i < 3; i++) q = q * (2.0f - d * q);
  return q;
}

#endif
