/* Matrix product in fp32 (product.h): a 1 x 1 convolution.

     y[p, o] = bias[o] + onto[p, o] + sum over c of x[p, c] w[o, c]

   x is (rows, channels); or two such arrays, each with its weights. y and onto are (rows, outs). Channels and outs
   are multiples of 16. */
#include <omp.h>

#include "product.h"

#define TOGETHER (4 * ROWS) /* rows per use of a panel of weights */
#define CHUNK 128           /* rows summed at a time, few enough for the cache */

long product_weights_size(long channels, long outs) { return channels * outs; }

/* The weights of y; or with `back`, where w is (channels, outs), of the gradient of x. Rows of w are `step` apart. */
void product_weights(const float *w, float *u, long channels, long outs, long step, long back) {
  if (back) as_rows(w, step, channels, outs, u);
  else as_columns(w, step, outs, outs, channels, u);
}

/* x2 (with 0 channels), bias and onto may be NULL. */
void product(const float *x1, const float *x2, const float *u1, const float *u2, const float *bias, const float *onto,
             float *y, long rows, long channels1, long channels2, long outs) {
  #pragma omp parallel for schedule(static)
  for (long first = 0; first < rows; first += TOGETHER) {
    const Factor f[2] = {{x1 + first * channels1, channels1, u1, channels1}, {x2 + first * channels2, channels2, u2, channels2}};
    const long at = first * outs;
    multiply(f, channels2 ? 2 : 1, bias, onto ? onto + at : 0, y + at, outs, least(TOGETHER, rows - first), outs);
  }
}

/* The number of parts in which rows are summed: it depends on the rows only, so the number of threads does not change
   the result. */
static long parts_of(long rows) { return rows < 512 ? 1 : rows < 2048 ? 2 : 4; }

long product_gradient_work(long rows, long channels, long outs) { return parts_of(rows) * (channels + 1) * outs; }

/* The gradient of the weights (outs, channels), whose rows are `step` apart, and of the bias. */
void product_gradient(const float *x, const float *dy, float *dw, float *db, float *work, long rows, long channels, long outs, long step) {
  const long parts = parts_of(rows), middle = up_to(outs / 2, 16);
  float *sums = work + parts * channels * outs;
  #pragma omp parallel
  {
    #pragma omp for schedule(static)
    for (long unit = 0; unit < 2 * parts; unit++) { /* half of the output channels, for one part of the rows */
      const long part = unit / 2, from = unit % 2 * middle, to = unit % 2 ? outs : middle, end = rows * (part + 1) / parts;
      float *dwp = work + (part * outs + from) * channels, *dbp = sums + part * outs;
      for (long o = from; o < to; o += LANES) store(dbp + o, all(0));
      for (long begin = rows * part / parts, first = begin; first < end; first += CHUNK) {
        const long some = least(CHUNK, end - first);
        multiply_columns(dy + first * outs + from, outs, x + first * channels, channels, dwp, channels, some, first > begin, to - from, channels);
        for (long o = from; o < to; o += LANES) {
          vec sum = load(dbp + o);
          for (long r = first; r < first + some; r++) sum += load(dy + r * outs + o);
          store(dbp + o, sum);
        }
      }
    }
    #pragma omp for schedule(static)
    for (long o = 0; o < outs; o++) {
      db[o] = 0;
      for (long n = 0; n < parts; n++) db[o] += sums[n * outs + o];
      for (long c = 0; c < channels; c += LANES) {
        vec sum = load(work + o * channels + c);
        for (long n = 1; n < parts; n++) sum += load(work + (n * outs + o) * channels + c);
        store(dw + o * step + c, sum);
      }
    }
  }
}
