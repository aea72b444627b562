/* Group normalization with modulation and SiLU, forward and backward.

     y = f(norm(x + shift) * weight + bias),  f(z) = z or z sigmoid(z)

   x, y and their gradients are fp32, or bf16 if HALF is defined; everything else, intermediate results included, is
   fp32. x is (images, pixels, channels): NHWC; or two such arrays, whose channels are concatenated. `modulation` differs
   between images: a shift (images, channels), or scale and offset (images, 2 channels): the weight is then multiplied
   by 1 + scale, and the bias becomes bias (1 + scale) + offset.

   Each image is summed in parts, whose number does not depend on the number of threads, so neither does the result; if
   there are fewer images than threads, threads take parts of images. stats is (2, images, groups): mean and 1 /
   standard deviation. sums is work space, (images, parts, 3, channels). */
#include <math.h>
#include <omp.h>

#include "half.h"

#ifdef HALF
typedef half num;
#define NAME(function) half_##function
#define KEPT 0 /* the gradient of z is computed twice, to avoid rounding it in between */
INLINE vec take(const num *p) { return widen(p); }
INLINE void give(num *p, vec v) { narrow(p, v); }
INLINE vec gate(vec z) { return sigmoid_to_half(z); }
#else
typedef float num;
#define NAME(function) function
#define KEPT 1
INLINE vec take(const num *p) { return load(p); }
INLINE void give(num *p, vec v) { store(p, v); }
INLINE vec gate(vec z) { return sigmoid(z); }
#endif

enum { NOTHING, SHIFT, SCALE_AND_OFFSET };

typedef struct {
  const num *x[2], *dy, *onto;
  const float *modulation, *weight, *bias;
  num *y[2];
  float *stats, *sums, *dweight, *dbias, *dmod;
  long images, pixels, channels, width[2], groups, parts;
  int kind, silu;
  float eps;
} Norm;

typedef void (*Pass)(const Norm *, long image, long first, long last, float *sums);
typedef void (*Join)(const Norm *, long image);

/* The sums over an image: adds those of its parts, in place of the first part's. */
static float *collapse(const Norm *n, long image) {
  const long size = 3 * n->channels;
  float *sums = n->sums + image * n->parts * size;
  for (long p = 1; p < n->parts; p++)
    for (long i = 0; i < size; i += LANES) store(sums + i, load(sums + i) + load(sums + p * size + i));
  return sums;
}

/* Sums of x - k and of its square, where k is the image's first pixel: no cancellation if the mean is large. */
static void moments(const Norm *n, long image, long first, long last, float *sums) {
  const long c = n->channels;
  for (long i = 0; i < 3 * c; i += LANES) store(sums + i, all(0));
  for (int s = 0; s < 2; sums += n->width[s++]) {
    const long w = n->width[s];
    const num *k = n->x[s] + image * n->pixels * w;
    for (long p = first; p < last; p++)
      for (long i = 0; i < w; i += LANES) {
        vec d = take(k + p * w + i) - take(k + i);
        store(sums + i, load(sums + i) + d);
        store(sums + c + i, load(sums + c + i) + d * d);
      }
  }
}

static void join_moments(const Norm *n, long image) {
  const long c = n->channels, size = c / n->groups;
  const float *sums = collapse(n, image), *shift = n->kind == SHIFT ? n->modulation + image * c : 0;
  float k[c];
  for (int s = 0, i = 0; s < 2; s++) {
    const num *first = n->x[s] + image * n->pixels * n->width[s];
    for (long j = 0; j < n->width[s]; j += LANES, i += LANES)
      store(k + i, take(first + j) + (shift ? load(shift + i) : all(0)));
  }
  for (long g = 0; g < n->groups; g++) {
    double mean = 0, square = 0;
    for (long i = g * size; i < (g + 1) * size; i++) mean += k[i] + sums[i] / (double)n->pixels;
    mean /= size;
    for (long i = g * size; i < (g + 1) * size; i++) {
      double s = sums[i], d = k[i] + s / n->pixels - mean;
      square += sums[c + i] - s * s / n->pixels + n->pixels * d * d;
    }
    square = square > 0 ? square / (size * n->pixels) : 0;
    n->stats[image * n->groups + g] = mean;
    n->stats[(n->images + image) * n->groups + g] = 1 / sqrt(square + n->eps);
  }
}

/* norm(x + shift) = x * scale + offset */
static void standard(const Norm *n, long image, float *scale, float *offset) {
  const long c = n->channels, size = c / n->groups;
  const float *mean = n->stats + image * n->groups, *rstd = mean + n->images * n->groups;
  const float *shift = n->kind == SHIFT ? n->modulation + image * c : 0;
  for (long i = 0; i < c; i++) {
    scale[i] = rstd[i / size];
    offset[i] = ((shift ? shift[i] : 0) - mean[i / size]) * rstd[i / size];
  }
}

/* This image's weight and bias, after modulation. */
static void affine(const Norm *n, long image, float *weight, float *bias) {
  const long c = n->channels;
  const float *modulation = n->kind == SCALE_AND_OFFSET ? n->modulation + image * 2 * c : 0;
  for (long i = 0; i < c; i++) {
    weight[i] = n->weight[i] * (modulation ? 1 + modulation[i] : 1);
    bias[i] = modulation ? n->bias[i] * (1 + modulation[i]) + modulation[c + i] : n->bias[i];
  }
}

static void apply(const Norm *n, long image, long first, long last, float *unused) {
  const int silu = n->silu;
  const long c = n->channels;
  num *y = n->y[0] + image * n->pixels * c;
  float scale[c], offset[c], weight[c], bias[c], *a = scale, *b = offset;
  standard(n, image, scale, offset);
  affine(n, image, weight, bias);
  for (long i = 0; i < c; i++) scale[i] *= weight[i], offset[i] = offset[i] * weight[i] + bias[i];
  for (int s = 0; s < 2; y += n->width[s], a += n->width[s], b += n->width[s], s++) {
    const long w = n->width[s];
    const num *x = n->x[s] + image * n->pixels * w;
    for (long p = first; p < last; p++)
      for (long i = 0; i < w; i += LANES) {
        vec z = take(x + p * w + i) * load(a + i) + load(b + i);
        if (silu) z *= gate(z);
        give(y + p * c + i, z);
      }
  }
}

/* The gradient of z = v w + b, from that of y. */
INLINE vec slope(vec v, vec d, const float *weight, const float *bias, int silu) {
  if (!silu) return d;
  vec z = v * load(weight) + load(bias), q = gate(z);
  return d * (q * (1.0f + z * (1.0f - q)));
}

/* The gradient of z, stored where that of x will be; its sum, its product with the normalized x, and the sum of that x. */
static void back(const Norm *n, long image, long first, long last, float *sums) {
  const int silu = n->silu, shifted = n->kind == SHIFT;
  const long c = n->channels;
  const num *dy = n->dy + image * n->pixels * c;
  float scale[c], offset[c], weight[c], bias[c];
  standard(n, image, scale, offset);
  affine(n, image, weight, bias);
  for (long i = 0; i < 3 * c; i += LANES) store(sums + i, all(0));
  for (long s = 0, at = 0; s < 2; at += n->width[s++]) {
    const long w = n->width[s];
    const num *x = n->x[s] + image * n->pixels * w;
    num *dz = n->y[s] + image * n->pixels * w;
    for (long p = first; p < last; p++)
      for (long i = 0, j = at; i < w; i += LANES, j += LANES) {
        vec v = take(x + p * w + i) * load(scale + j) + load(offset + j);
        vec d = slope(v, take(dy + p * c + j), weight + j, bias + j, silu);
        if (KEPT) give(dz + p * w + i, d);
        store(sums + j, load(sums + j) + d);
        store(sums + c + j, load(sums + c + j) + d * v);
        if (shifted) store(sums + 2 * c + j, load(sums + 2 * c + j) + v);
      }
  }
}

/* The gradients per channel; the group's means of w dz and of w dz v replace the first two sums. */
static void join_back(const Norm *n, long image) {
  const long c = n->channels, size = c / n->groups;
  float *sums = collapse(n, image), weight[c], bias[c];
  affine(n, image, weight, bias);
  for (long g = 0; g < n->groups; g++) {
    const double rstd = n->stats[(n->images + image) * n->groups + g];
    double a = 0, b = 0;
    for (long i = g * size; i < (g + 1) * size; i++) {
      const float first = sums[i], second = sums[c + i], *scale = n->modulation + image * 2 * c + i;
      const float more = n->kind == SCALE_AND_OFFSET ? 1 + *scale : 1;
      n->dbias[image * c + i] = first * more;
      n->dweight[image * c + i] = second * more;
      if (n->kind == SCALE_AND_OFFSET) {
        n->dmod[image * 2 * c + i] = n->weight[i] * second + n->bias[i] * first;
        n->dmod[image * 2 * c + c + i] = first;
      }
      a += (double)weight[i] * first, b += (double)weight[i] * second;
    }
    a /= size * n->pixels, b /= size * n->pixels;
    for (long i = g * size; i < (g + 1) * size; i++) {
      if (n->kind == SHIFT)
        n->dmod[image * c + i] = rstd * (weight[i] * sums[i] - a * n->pixels - b * sums[2 * c + i]);
      sums[i] = a, sums[c + i] = b;
    }
  }
}

static void apply_back(const Norm *n, long image, long first, long last, float *unused) {
  const int silu = n->silu;
  const long c = n->channels;
  const num *dy = n->dy + image * n->pixels * c;
  const float *sums = n->sums + image * n->parts * 3 * c;
  float scale[c], offset[c], weight[c], bias[c], a[c], b[c];
  standard(n, image, scale, offset);
  affine(n, image, weight, bias);
  for (long i = 0; i < c; i++) a[i] = scale[i] * sums[i], b[i] = scale[i] * sums[c + i];
  for (long s = 0, at = 0; s < 2; at += n->width[s++]) {
    const long w = n->width[s], from = image * n->pixels * w;
    const num *x = n->x[s] + from, *onto = n->onto && !s ? n->onto + from : 0;
    num *dx = n->y[s] + from;
    for (long p = first; p < last; p++)
      for (long i = 0, j = at; i < w; i += LANES, j += LANES) {
        vec v = take(x + p * w + i) * load(scale + j) + load(offset + j);
        vec d = KEPT ? take(dx + p * w + i) : slope(v, take(dy + p * c + j), weight + j, bias + j, silu);
        d = d * (load(weight + j) * load(scale + j)) - (v * load(b + j) + load(a + j));
        if (onto) d += take(onto + p * w + i);
        give(dx + p * w + i, d);
      }
  }
}

static void run(const Norm *n, long image, long part, Pass pass) {
  const long first = n->pixels * part / n->parts, last = n->pixels * (part + 1) / n->parts;
  pass(n, image, first, last, n->sums + (image * n->parts + part) * 3 * n->channels);
}

static void twice(const Norm *n, Pass gather, Join join, Pass give) {
  if (n->images >= omp_get_max_threads()) { /* one image at a time: it stays in the cache */
    #pragma omp parallel for schedule(static)
    for (long b = 0; b < n->images; b++) {
      for (long p = 0; p < n->parts; p++) run(n, b, p, gather);
      join(n, b);
      for (long p = 0; p < n->parts; p++) run(n, b, p, give);
    }
    return;
  }
  #pragma omp parallel
  {
    #pragma omp for schedule(static)
    for (long i = 0; i < n->images * n->parts; i++) run(n, i / n->parts, i % n->parts, gather);
    #pragma omp for schedule(static)
    for (long b = 0; b < n->images; b++) join(n, b);
    #pragma omp for schedule(static)
    for (long i = 0; i < n->images * n->parts; i++) run(n, i / n->parts, i % n->parts, give);
  }
}

static long parts(long pixels) { return pixels < 128 ? 1 : pixels < 512 ? pixels / 64 : 8; }

long NAME(norm_work)(long images, long pixels, long channels) { return images * parts(pixels) * 3 * channels; }

/* x2 may be NULL, with no channels. */
void NAME(norm_forward)(const num *x1, const num *x2, const float *modulation, const float *weight, const float *bias, num *y,
                  float *stats, float *sums, long images, long pixels, long channels1, long channels2, long groups,
                  long kind, long silu, float eps) {
  Norm n = {.x = {x1, x2}, .modulation = modulation, .weight = weight, .bias = bias, .y = {y, y}, .stats = stats, .sums = sums,
            .images = images, .pixels = pixels, .channels = channels1 + channels2, .width = {channels1, channels2},
            .groups = groups, .parts = parts(pixels), .kind = kind, .silu = silu, .eps = eps};
  twice(&n, moments, join_moments, apply);
}

/* dparams is (2, images, channels), dweight and dbias of each image. `onto`, which may be NULL, is added to dx1. */
void NAME(norm_backward)(const num *x1, const num *x2, const float *modulation, const float *weight, const float *bias,
                   float *stats, const num *dy, const num *onto, num *dx1, num *dx2, float *dparams,
                   float *dmod, float *sums, long images, long pixels, long channels1, long channels2, long groups,
                   long kind, long silu) {
  const long channels = channels1 + channels2;
  Norm n = {.x = {x1, x2}, .modulation = modulation, .weight = weight, .bias = bias, .stats = stats, .dy = dy, .onto = onto,
            .y = {dx1, dx2}, .dweight = dparams, .dbias = dparams + images * channels, .dmod = dmod, .sums = sums,
            .images = images, .pixels = pixels, .channels = channels, .width = {channels1, channels2},
            .groups = groups, .parts = parts(pixels), .kind = kind, .silu = silu};
  twice(&n, back, join_back, apply_back);
}
