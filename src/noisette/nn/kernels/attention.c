/* Attention (Vaswani et al. 2017) in fp32, forward and backward.

     s = q k' / sqrt(d),  p = softmax of the rows of s,  y = p v

   qkv is (images, tokens, 3, heads, d), y is (images, tokens, heads, d); d is a multiple of 16. `norms` is the logarithm
   of the sums of e^s, (images, heads, tokens): the backward pass recomputes p from it. One head of one image is the
   unit of work. */
#include <omp.h>
#include <string.h>

#include "product.h"
#include "softmax.h"

#define TOGETHER (4 * ROWS) /* rows of s in memory at a time */

typedef struct {
  long tokens, heads, depth, padded, line; /* padded: tokens, padded to a multiple of 16; line: values per token of qkv */
  float scale;
} Shape;

static Shape shape(long tokens, long heads, long depth) {
  return (Shape){tokens, heads, depth, up_to(tokens, 16), 3 * heads * depth, 1 / sqrtf(depth)};
}

static long forward_share(const Shape *s) { return 2 * s->padded * s->depth + TOGETHER * s->padded; }

static void forward(const float *qkv, float *y, float *norms, float *work, const Shape *s) {
  const long n = s->padded, d = s->depth, width = s->heads * d;
  float *k = work, *v = k + n * d, *p = v + n * d;
  as_columns(qkv + width, s->line, s->tokens, n, d, k);
  as_rows(qkv + 2 * width, s->line, s->tokens, d, v);
  for (long first = 0; first < s->tokens; first += TOGETHER) {
    const long some = least(TOGETHER, s->tokens - first);
    multiply(&(Factor){qkv + first * s->line, s->line, k, d}, 1, 0, 0, p, n, some, n);
    for (long i = 0; i < some; i++) {
      const float share = 1 / exponents(p + i * n, s->tokens, n, s->scale, norms + first + i);
      for (long j = 0; j < n; j += LANES) store(p + i * n + j, load(p + i * n + j) * share);
    }
    multiply(&(Factor){p, n, v, s->tokens}, 1, 0, 0, y + first * width, width, some, d);
  }
}

/* In place: rows of q k' become rows of p, and rows of dp = dy v' rows of ds = p (dp - the sum of dy y) / sqrt(d). */
static void rows_back(float *p, float *ds, const Shape *s, long some, const float *dy, const float *y, const float *norms) {
  const long width = s->heads * s->depth;
  for (long i = 0; i < some; i++, p += s->padded, ds += s->padded, dy += width, y += width) {
    vec sum = all(0);
    float mean = 0;
    for (long j = 0; j < s->depth; j += LANES) sum += load(dy + j) * load(y + j);
    for (int l = 0; l < LANES; l++) mean += sum[l];
    for (long j = 0; j < s->padded; j += LANES) {
      vec v = load(p + j) * s->scale - norms[i];
      v = choose(v < -80.0f, all(-80.0f), v);
      v = exponential(choose(v > 80.0f, all(80.0f), v));
      store(p + j, v), store(ds + j, v * (load(ds + j) - mean) * s->scale);
    }
  }
}

static long backward_share(const Shape *s) { return (4 * s->depth + 2 * s->tokens) * s->padded; }

static void backward(const float *qkv, const float *y, const float *dy, const float *norms, float *dqkv, float *work, const Shape *s) {
  const long n = s->padded, d = s->depth, line = s->line, width = s->heads * d;
  float *k = work, *v = k + n * d, *k_rows = v + n * d, *out = k_rows + n * d, *p = out + n * d, *ds = p + s->tokens * n;
  as_columns(qkv + width, line, s->tokens, n, d, k);
  as_columns(qkv + 2 * width, line, s->tokens, n, d, v);
  as_rows(qkv + width, line, s->tokens, d, k_rows);
  for (long first = 0; first < s->tokens; first += TOGETHER) {
    const long some = least(TOGETHER, s->tokens - first), at = first * width;
    multiply(&(Factor){qkv + first * line, line, k, d}, 1, 0, 0, p + first * n, n, some, n);
    multiply(&(Factor){dy + at, width, v, d}, 1, 0, 0, ds + first * n, n, some, n);
    rows_back(p + first * n, ds + first * n, s, some, dy + at, y + at, norms + first);
    multiply(&(Factor){ds + first * n, n, k_rows, s->tokens}, 1, 0, 0, dqkv + first * line, line, some, d);
  }
  multiply_columns(ds, n, qkv, line, out, d, s->tokens, 0, n, d);
  for (long i = 0; i < s->tokens; i++) memcpy(dqkv + i * line + width, out + i * d, d * sizeof(float));
  multiply_columns(p, n, dy, width, out, d, s->tokens, 0, n, d);
  for (long i = 0; i < s->tokens; i++) memcpy(dqkv + i * line + 2 * width, out + i * d, d * sizeof(float));
}

/* The size of the work space in floats, for either direction. */
long attention_work(long tokens, long heads, long depth) {
  Shape s = shape(tokens, heads, depth);
  return omp_get_max_threads() * (forward_share(&s) > backward_share(&s) ? forward_share(&s) : backward_share(&s));
}

void attention(const float *qkv, float *y, float *norms, float *work, long images, long tokens, long heads, long depth) {
  const Shape s = shape(tokens, heads, depth);
  #pragma omp parallel for schedule(static)
  for (long i = 0; i < images * heads; i++) {
    const long image = i / heads * tokens, head = i % heads * depth;
    forward(qkv + image * s.line + head, y + image * heads * depth + head, norms + i * tokens, work + omp_get_thread_num() * forward_share(&s), &s);
  }
}

void attention_back(const float *qkv, const float *y, const float *dy, const float *norms, float *dqkv, float *work,
                    long images, long tokens, long heads, long depth) {
  const Shape s = shape(tokens, heads, depth);
  #pragma omp parallel for schedule(static)
  for (long i = 0; i < images * heads; i++) {
    const long image = i / heads * tokens, head = i % heads * depth, at = image * heads * depth + head;
    backward(qkv + image * s.line + head, y + at, dy + at, norms + i * tokens, dqkv + image * s.line + head, work + omp_get_thread_num() * backward_share(&s), &s);
  }
}
