/* Group normalisation with what always goes with it, forwards and backwards.

     y = f(norm(x + shift) * weight + bias),  f(z) = z or z sigmoid(z)

   x is (images, pixels, channels): NHWC. shift is (images, channels) or NULL; weight and bias are (channels) or, with
   `step` = channels, (images, channels). Sums are made over parts of an image, as many for any number of threads,
   so the result does not depend on it; where there are fewer images than threads, the parts are shared out.

   mean and rstd are (images, groups). sums is work space, (images, parts, 3, channels). */
#include <math.h>
#include <omp.h>

#include "lanes.h"

typedef struct {
  const float *x, *shift, *weight, *bias, *dy;
  float *y, *mean, *rstd, *sums, *dweight, *dbias, *dshift;
  long images, pixels, channels, groups, step, parts;
  float eps;
  int silu;
} Norm;

typedef void (*Pass)(const Norm *, long image, long first, long last, float *sums);
typedef void (*Join)(const Norm *, long image);

INLINE const float *row(const float *p, long image, long step) { return p ? p + image * step : p; }

/* Sums of x - k and of its square, k the image's first pixel: no digits are lost where the mean is large. */
static void moments(const Norm *n, long image, long first, long last, float *sums) {
  const long c = n->channels;
  const float *k = n->x + image * n->pixels * c;
  for (long i = 0; i < 3 * c; i += LANES) store(sums + i, all(0));
  for (long p = first; p < last; p++)
    for (long i = 0; i < c; i += LANES) {
      vec d = load(k + p * c + i) - load(k + i);
      store(sums + i, load(sums + i) + d);
      store(sums + c + i, load(sums + c + i) + d * d);
    }
}

/* The sums of an image: those of its parts, in the place of the first's. */
static float *collapse(const Norm *n, long image) {
  const long size = 3 * n->channels;
  float *sums = n->sums + image * n->parts * size;
  for (long p = 1; p < n->parts; p++)
    for (long i = 0; i < size; i += LANES) store(sums + i, load(sums + i) + load(sums + p * size + i));
  return sums;
}

static void join_moments(const Norm *n, long image) {
  const long c = n->channels, width = c / n->groups;
  const float *k = n->x + image * n->pixels * c, *sums = collapse(n, image), *shift = row(n->shift, image, c);
  for (long g = 0; g < n->groups; g++) {
    double mean = 0, square = 0;
    for (long i = g * width; i < (g + 1) * width; i++)
      mean += k[i] + (shift ? shift[i] : 0) + sums[i] / (double)n->pixels;
    mean /= width;
    for (long i = g * width; i < (g + 1) * width; i++) {
      double s = sums[i], d = k[i] + (shift ? shift[i] : 0) + s / n->pixels - mean;
      square += sums[c + i] - s * s / n->pixels + n->pixels * d * d;
    }
    square = square > 0 ? square / (width * n->pixels) : 0;
    n->mean[image * n->groups + g] = mean;
    n->rstd[image * n->groups + g] = 1 / sqrt(square + n->eps);
  }
}

/* norm(x + shift) = x * scale + offset */
static void standard(const Norm *n, long image, float *scale, float *offset) {
  const long c = n->channels, width = c / n->groups;
  const float *shift = row(n->shift, image, c);
  for (long i = 0; i < c; i++) {
    long g = image * n->groups + i / width;
    scale[i] = n->rstd[g];
    offset[i] = ((shift ? shift[i] : 0) - n->mean[g]) * n->rstd[g];
  }
}

static void apply(const Norm *n, long image, long first, long last, float *unused) {
  const int silu = n->silu;
  const long c = n->channels;
  const float *x = n->x + image * n->pixels * c, *w = row(n->weight, image, n->step), *b = row(n->bias, image, n->step);
  float *y = n->y + image * n->pixels * c, scale[c], offset[c];
  standard(n, image, scale, offset);
  for (long i = 0; i < c; i++) scale[i] *= w[i], offset[i] = offset[i] * w[i] + b[i];
  for (long p = first; p < last; p++)
    for (long i = 0; i < c; i += LANES) {
      vec z = load(x + p * c + i) * load(scale + i) + load(offset + i);
      if (silu) z *= sigmoid(z);
      store(y + p * c + i, z);
    }
}

/* The gradient of z, left where that of x will be; its sum, its product with the standardised x, and the sum of that x. */
static void back(const Norm *n, long image, long first, long last, float *sums) {
  const int silu = n->silu, shifted = n->shift != 0;
  const long c = n->channels, at = image * n->pixels * c;
  const float *x = n->x + at, *dy = n->dy + at, *w = row(n->weight, image, n->step), *b = row(n->bias, image, n->step);
  float *dz = n->y + at, scale[c], offset[c];
  standard(n, image, scale, offset);
  for (long i = 0; i < 3 * c; i += LANES) store(sums + i, all(0));
  for (long p = first; p < last; p++)
    for (long i = 0; i < c; i += LANES) {
      vec s = load(x + p * c + i) * load(scale + i) + load(offset + i), d = load(dy + p * c + i);
      if (silu) {
        vec z = s * load(w + i) + load(b + i), q = sigmoid(z);
        d *= q * (1.0f + z * (1.0f - q));
      }
      store(dz + p * c + i, d);
      store(sums + i, load(sums + i) + d);
      store(sums + c + i, load(sums + c + i) + d * s);
      if (shifted) store(sums + 2 * c + i, load(sums + 2 * c + i) + s);
    }
}

/* The group's means of w dz and of w dz s take the places of its mean and of the first sums. */
static void join_back(const Norm *n, long image) {
  const long c = n->channels, width = c / n->groups;
  const float *w = row(n->weight, image, n->step);
  float *sums = collapse(n, image), *first = n->dbias + image * c, *second = n->dweight + image * c;
  for (long g = 0; g < n->groups; g++) {
    double a = 0, b = 0, rstd = n->rstd[image * n->groups + g];
    for (long i = g * width; i < (g + 1) * width; i++) {
      first[i] = sums[i], second[i] = sums[c + i];
      a += (double)w[i] * first[i], b += (double)w[i] * second[i];
    }
    a /= width * n->pixels, b /= width * n->pixels;
    for (long i = g * width; i < (g + 1) * width; i++) {
      if (n->shift) n->dshift[image * c + i] = rstd * (w[i] * first[i] - a * n->pixels - b * sums[2 * c + i]);
      sums[i] = a, sums[c + i] = b;
    }
  }
}

static void apply_back(const Norm *n, long image, long first, long last, float *unused) {
  const long c = n->channels, at = image * n->pixels * c;
  const float *x = n->x + at, *w = row(n->weight, image, n->step), *sums = n->sums + image * n->parts * 3 * c;
  float *dx = n->y + at, scale[c], offset[c], onto[c];
  standard(n, image, scale, offset);
  for (long i = 0; i < c; i++) {
    float r = scale[i];
    onto[i] = r * w[i];
    scale[i] = -r * r * sums[c + i];
    offset[i] = -r * (sums[i] + offset[i] * sums[c + i]);
  }
  for (long p = first; p < last; p++)
    for (long i = 0; i < c; i += LANES)
      store(dx + p * c + i, load(dx + p * c + i) * load(onto + i) + (load(x + p * c + i) * load(scale + i) + load(offset + i)));
}

static void run(const Norm *n, long image, long part, Pass pass) {
  pass(n, image, n->pixels * part / n->parts, n->pixels * (part + 1) / n->parts, n->sums + (image * n->parts + part) * 3 * n->channels);
}

static void twice(const Norm *n, Pass gather, Join join, Pass give) {
  if (n->images >= omp_get_max_threads()) { /* an image at a time: it stays in the cache in between */
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

long norm_work(long images, long pixels, long channels) { return images * parts(pixels) * 3 * channels; }

void norm_forward(const float *x, const float *shift, const float *weight, const float *bias, float *y, float *mean,
                  float *rstd, float *sums, long images, long pixels, long channels, long groups, long step, long silu,
                  float eps) {
  Norm n = {.x = x, .shift = shift, .weight = weight, .bias = bias, .y = y, .mean = mean, .rstd = rstd, .sums = sums,
            .images = images, .pixels = pixels, .channels = channels, .groups = groups, .step = step,
            .parts = parts(pixels), .silu = silu, .eps = eps};
  twice(&n, moments, join_moments, apply);
}

/* dweight and dbias are (images, channels): their sums over the images are the caller's. */
void norm_backward(const float *x, const float *shift, const float *weight, const float *bias, float *mean, float *rstd,
                   const float *dy, float *dx, float *dweight, float *dbias, float *dshift, float *sums, long images,
                   long pixels, long channels, long groups, long step, long silu) {
  Norm n = {.x = x, .shift = shift, .weight = weight, .bias = bias, .mean = mean, .rstd = rstd, .dy = dy, .y = dx,
            .dweight = dweight, .dbias = dbias, .dshift = dshift, .sums = sums, .images = images, .pixels = pixels,
            .channels = channels, .groups = groups, .step = step, .parts = parts(pixels), .silu = silu};
  twice(&n, back, join_back, apply_back);
}
