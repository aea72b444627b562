/* Attention (Vaswani et al. 2017) in bf16 on tiles (amx.h), forward and backward.

     s = q k' / sqrt(d),  p = softmax of the rows of s,  y = p v

   qkv is (images, tokens, 3, heads, d), y is (images, tokens, heads, d), both bf16; d is a multiple of 32. `norms` is
   the logarithm of the sums of e^s, (images, heads, tokens), fp32: the backward pass recomputes p from it. One head of
   one image is the unit of work; 32 rows of s are in memory at a time. */
#include <omp.h>

#include "amx.h"
#include "softmax.h"

#ifdef AMX

#define ROWS_AT_ONCE 32

typedef struct {
  long tokens, heads, depth, padded, line; /* padded: tokens, padded to a multiple of 32; line: values per token of qkv */
  float scale;
} Shape;

static Shape shape(long tokens, long heads, long depth) {
  return (Shape){tokens, heads, depth, up_to(tokens, 32), 3 * heads * depth, 1 / sqrtf(depth)};
}

/* Copy rows, padded with zero rows. */
static void copy(const half *x, long step, const Shape *s, half *to) {
  for (long i = 0; i < s->tokens; i++) memcpy(to + i * s->depth, x + i * step, s->depth * sizeof(half));
  memset(to + s->tokens * s->depth, 0, (s->padded - s->tokens) * s->depth * sizeof(half));
}

/* Write fp32 values as bf16 to the rows of y from `first` on, without padding rows. */
static void write_rows(const float *c, const Shape *s, long first, half *y, long step) {
  for (long i = 0; i < least(ROWS_AT_ONCE, s->tokens - first); i++)
    for (long j = 0; j < s->depth; j += LANES) narrow(y + (first + i) * step + j, load(c + i * s->depth + j));
}

static long forward_share(const Shape *s) { /* in bf16 values */
  return 3 * s->padded * s->depth + ROWS_AT_ONCE * (3 * s->padded + 2 * s->depth);
}

static void forward(const half *qkv, half *y, float *norms, half *work, const Shape *s) {
  const long width = s->heads * s->depth, size = s->padded * s->depth;
  half *q = work, *k = q + size, *v = k + size, *p = v + size;
  float *scores = (float *)(p + ROWS_AT_ONCE * s->padded), *out = scores + ROWS_AT_ONCE * s->padded;
  copy(qkv, s->line, s, q);
  as_columns(qkv + width, s->line, s->tokens, s->padded, s->depth, k);
  as_rows(qkv + 2 * width, s->line, s->tokens, s->depth, s->padded, v);
  for (long first = 0; first < s->tokens; first += ROWS_AT_ONCE) {
    multiply(q + first * s->depth, s->depth, k, scores, s->padded, ROWS_AT_ONCE, s->padded, s->depth);
    for (long i = 0; i < ROWS_AT_ONCE; i++) {
      float norm, *row = scores + i * s->padded;
      const float share = 1 / exponents(row, s->tokens, s->padded, s->scale, &norm);
      for (long j = 0; j < s->padded; j += LANES) narrow(p + i * s->padded + j, load(row + j) * share);
      if (first + i < s->tokens) norms[first + i] = norm;
    }
    multiply(p, s->padded, v, out, s->depth, ROWS_AT_ONCE, s->depth, s->padded);
    write_rows(out, s, first, y, width);
  }
}

/* Transpose 32 rows of x into the columns of y from `first` on. */
static void turn(const half *x, const Shape *s, long first, half *y) {
  for (long j = 0; j < s->padded; j += 16) {
    __m512i r[16];
    for (int i = 0; i < 16; i++) r[i] = pair(words(x + 2 * i * s->padded + j, -1), words(x + (2 * i + 1) * s->padded + j, -1));
    transpose(r);
    for (int i = 0; i < 16; i++) _mm512_storeu_si512(y + (j + i) * s->padded + first, r[i]);
  }
}

/* Rows of p, and of ds = p (dp - the sum of dy y) / sqrt(d); zeros for padding. */
static void rows_back(const float *scores, const float *dp, const Shape *s, long first, const half *dy, const half *y,
                      const float *norms, half *p, half *ds) {
  const long width = s->heads * s->depth;
  for (long i = 0; i < ROWS_AT_ONCE; i++, scores += s->padded, dp += s->padded, p += s->padded, ds += s->padded) {
    if (first + i >= s->tokens) {
      memset(p, 0, s->padded * sizeof(half)), memset(ds, 0, s->padded * sizeof(half));
      continue;
    }
    vec sum = all(0);
    float mean = 0, norm = norms[first + i];
    for (long j = 0; j < s->depth; j += LANES) sum += widen(dy + (first + i) * width + j) * widen(y + (first + i) * width + j);
    for (int l = 0; l < LANES; l++) mean += sum[l];
    for (long j = 0; j < s->padded; j += LANES) {
      vec v = load(scores + j) * s->scale - norm;
      v = choose(v < -80.0f, all(-80.0f), v);
      v = exponential(choose(v > 80.0f, all(80.0f), v));
      narrow(p + j, v), narrow(ds + j, v * (load(dp + j) - mean) * s->scale);
    }
  }
}

static long backward_share(const Shape *s) { /* in bf16 values */
  return 7 * s->padded * s->depth + 2 * s->padded * s->padded + ROWS_AT_ONCE * (6 * s->padded + 2 * s->depth);
}

static void backward(const half *qkv, const half *y, const half *dy, const float *norms, half *dqkv, half *work, const Shape *s) {
  const long n = s->padded, d = s->depth, width = s->heads * d, size = n * d;
  half *q = work, *g = q + size, *q_rows = g + size, *g_rows = q_rows + size, *k_rows = g_rows + size, *k = k_rows + size, *v = k + size;
  half *pt = v + size, *dst = pt + n * n, *p = dst + n * n, *ds = p + ROWS_AT_ONCE * n;
  float *scores = (float *)(ds + ROWS_AT_ONCE * n), *dp = scores + ROWS_AT_ONCE * n, *out = dp + ROWS_AT_ONCE * n;
  copy(qkv, s->line, s, q);
  copy(dy, width, s, g);
  as_rows(qkv, s->line, s->tokens, d, n, q_rows);
  as_rows(dy, width, s->tokens, d, n, g_rows);
  as_rows(qkv + width, s->line, s->tokens, d, n, k_rows);
  as_columns(qkv + width, s->line, s->tokens, n, d, k);
  as_columns(qkv + 2 * width, s->line, s->tokens, n, d, v);
  for (long first = 0; first < n; first += ROWS_AT_ONCE) {
    multiply(q + first * d, d, k, scores, n, ROWS_AT_ONCE, n, d);
    multiply(g + first * d, d, v, dp, n, ROWS_AT_ONCE, n, d);
    rows_back(scores, dp, s, first, dy, y, norms, p, ds);
    multiply(ds, n, k_rows, out, d, ROWS_AT_ONCE, d, n);
    write_rows(out, s, first, dqkv, s->line);
    turn(p, s, first, pt);
    turn(ds, s, first, dst);
  }
  for (long first = 0; first < n; first += ROWS_AT_ONCE) {
    multiply(dst + first * n, n, q_rows, out, d, ROWS_AT_ONCE, d, n);
    write_rows(out, s, first, dqkv + width, s->line);
    multiply(pt + first * n, n, g_rows, out, d, ROWS_AT_ONCE, d, n);
    write_rows(out, s, first, dqkv + 2 * width, s->line);
  }
}

/* The size of the work space in bf16 values, for either direction. */
long amx_attention_work(long tokens, long heads, long depth) {
  Shape s = shape(tokens, heads, depth);
  return omp_get_max_threads() * (forward_share(&s) > backward_share(&s) ? forward_share(&s) : backward_share(&s));
}

void amx_attention(const half *qkv, half *y, float *norms, half *work, long images, long tokens, long heads, long depth) {
  const Shape s = shape(tokens, heads, depth);
  #pragma omp parallel
  {
    tiles_begin();
    #pragma omp for schedule(static)
    for (long i = 0; i < images * heads; i++) {
      const long image = i / heads * tokens, head = i % heads * depth;
      forward(qkv + image * s.line + head, y + image * heads * depth + head, norms + i * tokens, work + omp_get_thread_num() * forward_share(&s), &s);
    }
    _tile_release();
  }
}

void amx_attention_back(const half *qkv, const half *y, const half *dy, const float *norms, half *dqkv, half *work,
                        long images, long tokens, long heads, long depth) {
  const Shape s = shape(tokens, heads, depth);
  #pragma omp parallel
  {
    tiles_begin();
    #pragma omp for schedule(static)
    for (long i = 0; i < images * heads; i++) {
      const long image = i / heads * tokens, head = i % heads * depth, at = image * heads * depth + head;
      backward(qkv + image * s.line + head, y + at, dy + at, norms + i * tokens, dqkv + image * s.line + head, work + omp_get_thread_num() * backward_share(&s), &s);
    }
    _tile_release();
  }
}

#else

long amx_attention_work(long tokens, long heads, long depth) { return 0; }
void amx_attention(const half *qkv, half *y, float *norms, half *work, long images, long tokens, long heads, long depth) {}
void amx_attention_back(const half *qkv, const half *y, const half *dy, const float *norms, half *dqkv, half *work,
                        long images, long tokens, long heads, long depth) {}

#endif
