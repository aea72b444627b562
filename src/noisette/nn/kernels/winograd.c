/* The 3 x 3 convolution with padding 1 and its gradients by Winograd's F(4 x 4, 3 x 3) (Lavin & Gray 2016).

     y = A' [ (G w G') . (B' x B) ] A     for tiles of 6 x 6 pixels of x, 4 x 4 pixels of y

   The dot is a matrix product over channels for each of 36 points, with a quarter of a direct convolution's
   multiplications. The interpolation points 0, +-1/sqrt 2, +-sqrt 2 and infinity have half the rounding error of 0, +-1,
   +-2 and infinity.

   x is (images, height, width, channels): NHWC. With up = 1 it has half the height and width, and each of its pixels
   stands for 2 x 2. Channels are multiples of 16, at most LIMIT. */
#include <omp.h>

#include "product.h"

#define TILES 24 /* tiles processed together */
#define CHUNK 48 /* the same, for the gradient of the weights */
#define LINE 16 /* floats in a cache line */
#define LIMIT 4096
#define P1 0.70710678f
#define Q1 1.41421356f

typedef struct {
  long images, height, width, channels, outs, up;
} Shape;

static const float zeros[LIMIT];

/* Padding of strides: with powers of two, all 36 points would compete for the same cache lines. */
INLINE long padded(long n) { return (n + 127) / 128 * 128 + 16; }

INLINE long tiles_of(Shape s) { return s.images * ((s.height + 3) / 4) * ((s.width + 3) / 4); }

/* The transforms along one axis: B' d, A' m, A g, G w and G' u. `from` and `to` are strides. */
INLINE void input(const vec *d, int from, vec *t, int to) {
  vec a = d[4 * from] - 2.0f * d[2 * from], b = P1 * (d[3 * from] - 2.0f * d[from]);
  vec c = d[4 * from] - 0.5f * d[2 * from], e = Q1 * (d[3 * from] - 0.5f * d[from]);
  t[0] = d[0] - 2.5f * d[2 * from] + d[4 * from];
  t[to] = a + b, t[2 * to] = a - b, t[3 * to] = c + e, t[4 * to] = c - e;
  t[5 * to] = d[from] - 2.5f * d[3 * from] + d[5 * from];
}

INLINE void output(const vec *m, int from, vec *y, int to) {
  vec a = m[from] + m[2 * from], b = P1 * (m[from] - m[2 * from]);
  vec c = m[3 * from] + m[4 * from], e = Q1 * (m[3 * from] - m[4 * from]);
  y[0] = m[0] + a + c, y[to] = b + e, y[2 * to] = 0.5f * a + 2.0f * c, y[3 * to] = 0.5f * b + 2.0f * e + m[5 * from];
}

INLINE void gradient(const vec *g, int from, vec *z, int to) {
  vec a = g[0] + 0.5f * g[2 * from], b = P1 * (g[from] + 0.5f * g[3 * from]);
  vec c = g[0] + 2.0f * g[2 * from], e = Q1 * (g[from] + 2.0f * g[3 * from]);
  z[0] = g[0], z[to] = a + b, z[2 * to] = a - b, z[3 * to] = c + e, z[4 * to] = c - e, z[5 * to] = g[3 * from];
}

INLINE void weight(const vec *w, int from, vec *u, int to) {
  vec a = (-2.0f / 3) * w[0] - (1.0f / 3) * w[2 * from], b = (-2.0f / 3 * P1) * w[from];
  vec c = (1.0f / 6) * w[0] + (1.0f / 3) * w[2 * from], e = (1.0f / 6 * Q1) * w[from];
  u[0] = w[0], u[to] = a + b, u[2 * to] = a - b, u[3 * to] = c + e, u[4 * to] = c - e, u[5 * to] = w[2 * from];
}

INLINE void weight_gradient(const vec *u, int from, vec *w, int to) {
  vec a = u[from] + u[2 * from], b = u[from] - u[2 * from], c = u[3 * from] + u[4 * from], e = u[3 * from] - u[4 * from];
  w[0] = u[0] - (2.0f / 3) * a + (1.0f / 6) * c;
  w[to] = (-2.0f / 3 * P1) * b + (1.0f / 6 * Q1) * e;
  w[2 * to] = (-1.0f / 3) * a + (1.0f / 3) * c + u[5 * from];
}

/* One of the six rows of B' d, and of A g. */
INLINE vec input_row(int i, vec d0, vec d1, vec d2, vec d3, vec d4, vec d5) {
  switch (i) {
    case 0: return d0 - 2.5f * d2 + d4;
    case 1: return (d4 - 2.0f * d2) + P1 * (d3 - 2.0f * d1);
    case 2: return (d4 - 2.0f * d2) - P1 * (d3 - 2.0f * d1);
    case 3: return (d4 - 0.5f * d2) + Q1 * (d3 - 0.5f * d1);
    case 4: return (d4 - 0.5f * d2) - Q1 * (d3 - 0.5f * d1);
    default: return d1 - 2.5f * d3 + d5;
  }
}

INLINE vec gradient_row(int i, vec g0, vec g1, vec g2, vec g3) {
  switch (i) {
    case 0: return g0;
    case 1: return (g0 + 0.5f * g2) + P1 * (g1 + 0.5f * g3);
    case 2: return (g0 + 0.5f * g2) - P1 * (g1 + 0.5f * g3);
    case 3: return (g0 + 2.0f * g2) + Q1 * (g1 + 2.0f * g3);
    case 4: return (g0 + 2.0f * g2) - Q1 * (g1 + 2.0f * g3);
    default: return g3;
  }
}

/* Pointers to the side x side pixels of tile t, `before` rows and columns of which precede its outputs; `zeros` where
   they are outside the image. */
INLINE void pixels(const float *x, Shape s, long channels, long up, long t, int side, int before, const float **p) {
  long across = (s.width + 3) / 4, down = (s.height + 3) / 4, image = t / (down * across);
  long top = t / across % down * 4 - before, left = t % across * 4 - before;
  for (int i = 0; i < side; i++)
    for (int j = 0; j < side; j++) {
      long y = top + i, z = left + j, inside = y >= 0 && y < s.height && z >= 0 && z < s.width;
      p[side * i + j] = inside ? x + ((image * (s.height >> up) + (y >> up)) * (s.width >> up) + (z >> up)) * channels : zeros;
    }
}

/* Transform tile t, whose pixels are p; set `next` to those of the following tile, and prefetch them. */
INLINE void tile_in(const float *x, Shape s, long t, const float *const *p, const float **next, float *v, long step) {
  pixels(x, s, s.channels, s.up, t + 1 < tiles_of(s) ? t + 1 : t, 6, 1, next);
  for (long c = 0; c < s.channels; c += LANES) {
    vec e[36];
    if (c % 16 == 0)
      EACH(6) for (int i = 0; i < 6; i++) EACH(4) for (int j = 2; j < 6; j++) __builtin_prefetch(next[6 * i + j] + c);
    EACH(6) for (int j = 0; j < 6; j++) {
      vec d[6];
      EACH(6) for (int i = 0; i < 6; i++) d[i] = load(p[6 * i + j] + c);
      input(d, 1, e + j, 6);
    }
    EACH(6) for (int i = 0; i < 6; i++) {
      vec d[6];
      input(e + 6 * i, 1, d, 1);
      EACH(6) for (int j = 0; j < 6; j++) store(v + (6 * i + j) * step + c, d[j]);
    }
  }
}

/* `pool`: y has half the height and width, and gets the sums of 2 x 2 blocks (the gradient of x if up = 1). */
INLINE void tile_out(const float *m, long step, Shape s, long t, long pool, const float *bias, const float *onto, float *y) {
  long across = (s.width + 3) / 4, down = (s.height + 3) / 4, image = t / (down * across);
  long top = t / across % down * 4, left = t % across * 4, h = s.height >> pool, w = s.width >> pool;
  for (long c = 0; c < s.outs; c += LANES) {
    vec e[24], f[16], b = load((bias ? bias : zeros) + c);
    EACH(6) for (int j = 0; j < 6; j++) {
      vec d[6];
      EACH(6) for (int i = 0; i < 6; i++) d[i] = load(m + (6 * i + j) * step + c);
      output(d, 1, e + j, 6);
    }
    EACH(4) for (int i = 0; i < 4; i++) output(e + 6 * i, 1, f + 4 * i, 1);
    if (pool)
      for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
          const vec *four = f + 8 * i + 2 * j;
          f[4 * i + j] = four[0] + four[1] + four[4] + four[5];
        }
    for (int i = 0; i < 4 >> pool && (top >> pool) + i < h; i++)
      for (int j = 0; j < 4 >> pool && (left >> pool) + j < w; j++) {
        long at = ((image * h + (top >> pool) + i) * w + (left >> pool) + j) * s.outs + c;
        vec r = f[4 * i + j] + b;
        if (onto) r += load(onto + at);
        store(y + at, r);
      }
  }
}

long winograd_weights_size(long channels, long outs) { return 36 * padded(channels * outs); }

/* u = G w G', in panels. With `back`, the weights of the convolution that computes the gradient of x. */
void winograd_weights(const float *w, float *u, long channels, long outs, long back) {
  long out_step = back ? 9 : channels * 9, in_step = back ? outs * 9 : 9, step = padded(channels * outs);
  #pragma omp parallel for collapse(2) schedule(static)
  for (long block = 0; block < outs; block += LINE)
    for (long c = 0; c < channels; c++)
      for (long o = block; o < block + LINE; o += LANES) {
        long panel = o / PANEL * PANEL, width = width_of(panel, outs);
        float *to = u + panel * channels + c * width + (o - panel);
        vec d[9], e[18];
        EACH(9) for (int k = 0; k < 9; k++)
          EACH(LANES) for (int l = 0; l < LANES; l++) d[back ? 8 - k : k][l] = w[(o + l) * out_step + c * in_step + k];
        EACH(3) for (int j = 0; j < 3; j++) weight(d + j, 3, e + j, 3);
        EACH(6) for (int i = 0; i < 6; i++) {
          vec f[6];
          weight(e + 3 * i, 1, f, 1);
          EACH(6) for (int j = 0; j < 6; j++) store(to + (6 * i + j) * step, f[j]);
        }
      }
}

static long share(long channels, long outs) { return 36 * (padded(TILES * channels) + padded(TILES * outs)); }

long winograd_work(long channels, long outs) { return omp_get_max_threads() * share(channels, outs); }

/* y = convolution of x + bias + onto; bias and onto may be NULL. */
void winograd(const float *x, const float *u, const float *bias, const float *onto, float *y, float *work, long images,
              long height, long width, long channels, long outs, long up, long pool) {
  Shape s = {images, height, width, channels, outs, up};
  long tiles = tiles_of(s), vs = padded(TILES * channels), ms = padded(TILES * outs), us = padded(channels * outs);
  #pragma omp parallel
  {
    float *v = work + omp_get_thread_num() * share(channels, outs), *m = v + 36 * vs;
    #pragma omp for schedule(static)
    for (long first = 0; first < tiles; first += TILES) {
      long last = first + TILES < tiles ? first + TILES : tiles;
      const float *p[2][36];
      pixels(x, s, channels, up, first, 6, 1, p[first % 2]);
      for (long t = first; t < last; t++) tile_in(x, s, t, p[t % 2], p[1 - t % 2], v + (t - first) * channels, vs);
      for (int k = 0; k < 36; k++)
        multiply(&(Factor){v + k * vs, channels, u + k * us, channels}, 1, 0, 0, m + k * ms, outs, last - first, outs);
      for (long t = first; t < last; t++) tile_out(m + (t - first) * outs, ms, s, t, pool, bias, onto, y);
    }
  }
}

/* Row i of the 6 x 6 points of x and of dy: (6, tiles, channels) and (6, tiles, outs). */
INLINE void row_in(int i, const float *x, const float *dy, Shape s, long first, long last, float *v, float *z) {
  long vs = padded(CHUNK * s.channels), zs = padded(CHUNK * s.outs);
  for (long t = first; t < last; t++) {
    const float *p[36], *q[16];
    pixels(x, s, s.channels, s.up, t, 6, 1, p);
    pixels(dy, s, s.outs, 0, t, 4, 0, q);
    for (long c = 0; c < s.channels; c += LANES) {
      vec e[6], f[6];
      for (int j = 0; j < 6; j++)
        e[j] = input_row(i, load(p[j] + c), load(p[6 + j] + c), load(p[12 + j] + c), load(p[18 + j] + c), load(p[24 + j] + c), load(p[30 + j] + c));
      input(e, 1, f, 1);
      for (int j = 0; j < 6; j++) store(v + j * vs + (t - first) * s.channels + c, f[j]);
    }
    for (long c = 0; c < s.outs; c += LANES) {
      vec e[4], f[6];
      for (int j = 0; j < 4; j++) e[j] = gradient_row(i, load(q[j] + c), load(q[4 + j] + c), load(q[8 + j] + c), load(q[12 + j] + c));
      gradient(e, 1, f, 1);
      for (int j = 0; j < 6; j++) store(z + j * zs + (t - first) * s.outs + c, f[j]);
    }
  }
}

typedef void (*Row)(const float *, const float *, Shape, long, long, float *, float *);
#define ROW(i) \
  static void row##i(const float *x, const float *dy, Shape s, long first, long last, float *v, float *z) { row_in(i, x, dy, s, first, last, v, z); }
ROW(0) ROW(1) ROW(2) ROW(3) ROW(4) ROW(5)
static const Row rows[6] = {row0, row1, row2, row3, row4, row5};

/* db += the sums of dy over tiles first to last */
static void sum_tiles(const float *dy, Shape s, long first, long last, float *db) {
  for (long t = first; t < last; t++) {
    const float *q[16];
    pixels(dy, s, s.outs, 0, t, 4, 0, q);
    for (long c = 0; c < s.outs; c += LANES) {
      vec sum = load(db + c);
      for (int i = 0; i < 16; i++) sum += load(q[i] + c);
      store(db + c, sum);
    }
  }
}

/* The number of parts in which tiles are summed: it does not depend on the number of threads, so neither does the
   result. */
static long parts_of(long tiles) { return tiles < 512 ? 1 : tiles < 1024 ? 2 : 4; }

long winograd_gradient_work(long images, long height, long width, long channels, long outs) {
  Shape s = {images, height, width, channels, outs, 0};
  return parts_of(tiles_of(s)) * (36 * padded(channels * outs) + outs) + omp_get_max_threads() * 6 * (padded(CHUNK * channels) + padded(CHUNK * outs));
}

/* The gradients of the weights, (outs, channels, 3, 3), and of the bias, from x and dy. */
void winograd_gradient(const float *x, const float *dy, float *dw, float *db, float *work, long images, long height,
                       long width, long channels, long outs, long up) {
  Shape s = {images, height, width, channels, outs, up};
  long tiles = tiles_of(s), parts = parts_of(tiles), us = padded(channels * outs), vs = padded(CHUNK * channels), zs = padded(CHUNK * outs);
  float *du = work, *sums = du + parts * 36 * us, *rest = sums + parts * outs;
  #pragma omp parallel
  {
    float *v = rest + omp_get_thread_num() * 6 * (vs + zs), *z = v + 6 * vs;
    #pragma omp for schedule(static)
    for (long unit = 0; unit < 2 * parts; unit++) { /* half the rows of points, for one part of the tiles */
      long half = unit / parts, part = unit % parts, begin = tiles * part / parts, end = tiles * (part + 1) / parts;
      if (half)
        for (long c = 0; c < outs; c += LANES) store(sums + part * outs + c, all(0));
      for (long first = begin; first < end; first += CHUNK) {
        long last = first + CHUNK < end ? first + CHUNK : end;
        for (long i = 3 * half; i < 3 * half + 3; i++) {
          rows[i](x, dy, s, first, last, v, z);
          for (int j = 0; j < 6; j++)
            multiply_columns(v + j * vs, channels, z + j * zs, outs, du + (part * 36 + 6 * i + j) * us, outs, last - first, first > begin, channels, outs);
        }
        if (half) sum_tiles(dy, s, first, last, sums + part * outs);
      }
    }
    #pragma omp for schedule(static)
    for (long o = 0; o < outs; o += LANES) {
      vec sum = all(0);
      for (long n = 0; n < parts; n++) sum += load(sums + n * outs + o);
      store(db + o, sum);
      for (long c = 0; c < channels; c++) {
        vec d[36], e[18], f[9];
        for (int k = 0; k < 36; k++) {
          d[k] = load(du + k * us + c * outs + o);
          for (long n = 1; n < parts; n++) d[k] += load(du + (36 * n + k) * us + c * outs + o);
        }
        for (int j = 0; j < 6; j++) weight_gradient(d + j, 6, e + j, 6);
        for (int i = 0; i < 3; i++) weight_gradient(e + 6 * i, 1, f + 3 * i, 1);
        for (int k = 0; k < 9; k++)
          for (int l = 0; l < LANES; l++) dw[((o + l) * channels + c) * 9 + k] = f[k][l];
      }
    }
  }
}
