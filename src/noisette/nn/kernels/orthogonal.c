/* Newton-Schulz iteration: moves the singular values of a matrix to about 1 (the coefficients are in nn/muon.py).

     X <- p(X X') X,  p(S) = a + b S + c S S

   x is (matrices, rows, columns), both multiples of 16, with no more rows than columns; one matrix is the unit of
   work. If it has many more columns than rows, the product of all five p is computed first: they are polynomials of
   one small matrix, and commute. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "product.h"

#define ITERATIONS 5

typedef struct {
  long rows, columns;
  float a, b, c;
  float *pack; /* (rows, columns); the next ones are (rows, rows): */
  float *s, *p, *t, *whole;
} Work;

static long share(long rows, long columns) { return rows * columns + 4 * rows * rows; }

/* m = x y for square matrices; m may be x or y. */
static void squares(const Work *w, const float *x, const float *y, float *m) {
  as_rows(y, w->rows, w->rows, w->rows, w->pack);
  for (long r = 0; r < w->rows; r += 16) { /* rows of x are copied first, because m may be x */
    float some[16 * w->rows];
    memcpy(some, x + r * w->rows, sizeof(some));
    multiply(&(Factor){some, w->rows, w->pack, w->rows}, 1, 0, 0, m + r * w->rows, w->rows, 16, w->rows);
  }
}

/* s = x x' */
static void square(const Work *w, const float *x) {
  as_columns(x, w->columns, w->rows, w->rows, w->columns, w->pack);
  multiply(&(Factor){x, w->columns, w->pack, w->columns}, 1, 0, 0, w->s, w->rows, w->rows, w->rows);
}

/* p = a + b s + c s s */
static void polynomial(const Work *w) {
  squares(w, w->s, w->s, w->p);
  for (long i = 0; i < w->rows * w->rows; i += LANES) store(w->p + i, w->b * load(w->s + i) + w->c * load(w->p + i));
  for (long i = 0; i < w->rows; i++) w->p[i * w->rows + i] += w->a;
}

/* x = m x */
static void apply(const Work *w, const float *m, float *x) {
  as_rows(x, w->columns, w->rows, w->columns, w->pack);
  multiply(&(Factor){m, w->rows, w->pack, w->rows}, 1, 0, 0, x, w->columns, w->rows, w->columns);
}

static void one(const Work *w, float *x) {
  const long size = w->rows * w->columns;
  vec sum = all(0);
  float norm = 0;
  for (long i = 0; i < size; i += LANES) sum += load(x + i) * load(x + i);
  for (int l = 0; l < LANES; l++) norm += sum[l];
  norm = 1 / (sqrtf(norm) + 1e-7f);
  for (long i = 0; i < size; i += LANES) store(x + i, load(x + i) * norm);
  square(w, x);
  if (w->columns < 2 * w->rows) {
    for (int i = 0; i < ITERATIONS; i++) {
      if (i) square(w, x);
      polynomial(w);
      apply(w, w->p, x);
    }
    return;
  }
  polynomial(w);
  memcpy(w->whole, w->p, w->rows * w->rows * sizeof(float));
  for (int i = 1; i < ITERATIONS; i++) {
    squares(w, w->p, w->s, w->t);
    squares(w, w->t, w->p, w->s);
    polynomial(w);
    squares(w, w->p, w->whole, w->whole);
  }
  apply(w, w->whole, x);
}

long orthogonal_work(long rows, long columns) { return omp_get_max_threads() * share(rows, columns); }

void orthogonal(float *x, float *work, long matrices, long rows, long columns, float a, float b, float c) {
  #pragma omp parallel for schedule(static)
  for (long i = 0; i < matrices; i++) {
    float *pack = work + omp_get_thread_num() * share(rows, columns), *s = pack + rows * columns;
    const long size = rows * rows;
    one(&(Work){rows, columns, a, b, c, pack, s, s + size, s + 2 * size, s + 3 * size}, x + i * rows * columns);
  }
}
