/* The softmax of a row of attention scores, for both precisions. */
#ifndef SOFTMAX_H
#define SOFTMAX_H

#include <math.h>

#include "lanes.h"

/* In place: q k' becomes e^(s - max s) with s = q k' scale; padding becomes nearly 0. Returns their sum; `norm` is the
   logarithm of the sum of e^s. */
INLINE float exponents(float *row, long tokens, long padded, float scale, float *norm) {
  const vec low = all(-1e30f);
  for (long j = tokens; j < padded; j++) row[j] = -1e30f;
  vec most = low, sum = all(0);
  for (long j = 0; j < padded; j += LANES) {
    vec v = load(row + j);
    most = choose(v > most, v, most);
  }
  float top = most[0], total = 0;
  for (int l = 1; l < LANES; l++) top = most[l] > top ? most[l] : top;
  for (long j = 0; j < padded; j += LANES) {
    vec v = (load(row + j) - top) * scale;
    v = exponential(choose(v < -80.0f, all(-80.0f), v));
    store(row + j, v), sum += v;
  }
  for (int l = 0; l < LANES; l++) total += sum[l];
  *norm = top * scale + logf(total);
  return total;
}

#endif
