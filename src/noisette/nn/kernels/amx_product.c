/* Matrix product in bf16 on tiles (amx.h): a 1 x 1 convolution.

     y[p, o] = bias[o] + onto[p, o] + sum over c of x[p, c] w[o, c]

   x is (rows, channels); or two such arrays, each with its weights. y and onto are (rows, outs). */
#include <omp.h>

#include "amx.h"

#ifdef AMX

/* Copy up to PANEL rows of x, padded with zeros, where x cannot be read in place. */
static void copy(const half *x, long rows, long channels, half *to) {
  const long deep = up_to(channels, 32);
  memset(to, 0, PANEL * deep * sizeof(half));
  for (long r = 0; r < rows; r++) memcpy(to + r * deep, x + r * channels, channels * sizeof(half));
}

INLINE void square(const half *const *a, const long *step, const half *const *b, const long *depth, float *c, int m, int n) {
  tiles_zero();
  for (int s = 0; s < 2; s++)
    for (long k = 0; k < depth[s]; k += 32)
      tiles_add(a[s] + k, a[s] + 16 * step[s] + k, 2 * step[s], b[s] + k * 16 * n, b[s] + k * 16 * n + TILE, m, n);
  tiles_store(c, 16, 2 * SQUARE, SQUARE, m, n);
}

/* u1 and u2 are made by amx_weights; x2 (with 0 channels), bias and onto may be NULL. */
void amx_product(const half *x1, const half *x2, const half *u1, const half *u2, const float *bias, const half *onto,
                 half *y, long rows, long channels1, long channels2, long outs) {
  const long channels[2] = {channels1, channels2}, depth[2] = {up_to(channels1, 32), up_to(channels2, 32)}, wide = up_to(outs, 16);
  const half *x[2] = {x1, x2}, *u[2] = {u1, u2};
  #pragma omp parallel
  {
    half copies[PANEL * (depth[0] + depth[1])] __attribute__((aligned(64)));
    float c[4 * SQUARE] __attribute__((aligned(64)));
    tiles_begin();
    #pragma omp for schedule(static)
    for (long first = 0; first < rows; first += PANEL) {
      const long some = least(PANEL, rows - first);
      const int m = some > 16 ? 2 : 1;
      const half *a[2] = {0, 0}, *b[2];
      long step[2] = {0, 0};
      for (int s = 0; s < 2; s++) {
        if (!channels[s]) continue;
        a[s] = x[s] + first * channels[s], step[s] = depth[s];
        if (depth[s] > channels[s] || some % 16) copy(a[s], some, channels[s], copies + s * PANEL * depth[0]), a[s] = copies + s * PANEL * depth[0];
      }
      for (long p = 0; p < outs; p += PANEL) {
        const int n = wide - p < PANEL ? 1 : 2;
        for (int s = 0; s < 2; s++) b[s] = u[s] + p * depth[s];
        if (m == 2 && n == 2) square(a, step, b, depth, c, 2, 2);
        else if (m == 2) square(a, step, b, depth, c, 2, 1);
        else if (n == 2) square(a, step, b, depth, c, 1, 2);
        else square(a, step, b, depth, c, 1, 1);
        for (int i = 0; i < m; i++)
          for (int j = 0; j < n; j++) {
            const long o = p + 16 * j, at = (first + 16 * i) * outs + o;
            finish(c + (2 * i + j) * SQUARE, least(some - 16 * i, 16), outs - o, bias ? bias + o : 0, onto ? onto + at : 0, y + at, outs);
          }
      }
    }
    _tile_release();
  }
}

#else

void amx_product(const half *x1, const half *x2, const half *u1, const half *u2, const float *bias, const half *onto,
                 half *y, long rows, long channels1, long channels2, long outs) {}

#endif
