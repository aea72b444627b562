/* The gradients of the weights and of the bias of a convolution in bf16, as matrix products over pixels.

     dw[o, c, k] = sum over pixels p of dy[p, o] x[p + k, c],    db[o] = sum of dy[p, o]

   There are 9 taps k for a 3 x 3 convolution, or 1 for a 1 x 1 convolution.

   A is dy with its pixels along the rows: (blocks of 16 outs, blocks of 32 pixels, 16 outs, 32 pixels). B is x with
   pairs of neighboring pixels interleaved, three times, shifted by -1, 0 and 1: (3, blocks of 16 channels, pairs of
   pixels, 16 channels, 2), with a row of zeros above and below; a tap's row is then an offset in pairs. Rows of odd
   length are padded by one pixel, where dy is 0. For a single tap, x is stored once, without rows of zeros.

   The images are summed in parts whose number depends on the number of images only, so the number of threads does not
   change the result. */
#include <omp.h>

#include "amx.h"

#define LIMIT 4096 /* output channels */

#ifdef AMX

typedef struct {
  long images, height, width, channels, outs, up, taps;
  long line, margin, pairs, blocks;    /* per image: pixels of a row, of a row of zeros; all pairs; blocks of 32 pixels */
  long ins_blocks, outs_blocks; /* blocks of 16 channels */
  long chunk, parts;           /* images processed together; parts of the sum */
} Layout;

static Layout layout(long images, long height, long width, long channels, long outs, long up, long taps) {
  Layout l = {.images = images, .height = height, .width = width, .channels = channels, .outs = outs, .up = up, .taps = taps};
  l.line = up_to(width, 2);
  l.blocks = (height * l.line + 31) / 32;
  l.margin = taps > 1 ? l.line : 0;
  l.pairs = (height * l.line + 2 * l.margin) / 2 + 16;
  l.ins_blocks = up_to(channels, 16) / 16;
  l.outs_blocks = up_to(outs, 16) / 16;
  l.parts = images < 2 ? 1 : images < 32 ? 2 : images < 128 ? images / 8 : 16;
  const long room = 160000 / (32 * l.blocks * l.ins_blocks * 16), most = (images + l.parts - 1) / l.parts;
  l.chunk = room < 1 ? 1 : room < most ? room : most;
  return l;
}

static const half zeros[LIMIT];

/* An image of x as B. */
static void pair_up(const Layout *l, const half *x, long image, half *to) {
  const long h = l->height >> l->up, w = l->width >> l->up, up = l->up, c = l->channels, step = l->chunk * l->pairs * 32;
  const long turns = l->taps > 1 ? 3 : 1, turn = l->ins_blocks * step, end = (l->margin + l->height * l->line) * 16;
  for (long block = 0; block < l->ins_blocks; block++, to += step) {
    const __mmask16 there = leading(c - 16 * block);
    half *b = to + l->margin * 16;
    for (long k = 0; k < turns; k++) {
      memset(to + k * turn, 0, l->margin * 32);
      memset(to + k * turn + end, 0, (l->margin / 2 + 16) * 64);
    }
    for (long y = 0; y < l->height; y++) {
      const half *row = x + (image * h + (y >> up)) * w * c + 16 * block;
      __m512i before = _mm512_setzero_si512();
      for (long i = 0; i < l->line; i += 2, b += 32) { /* pixels i - 1, i, i + 1 and i + 2 make three pairs */
        const __m512i one = words(row + (i >> up) * c, there);
        const __m512i two = words(row + ((i + 1) >> up) * c, i + 1 < l->width ? there : 0);
        if (turns == 1) {
          _mm512_storeu_si512(b, pair(one, two));
          continue;
        }
        _mm512_storeu_si512(b, pair(before, one));
        _mm512_storeu_si512(b + turn, pair(one, two));
        _mm512_storeu_si512(b + 2 * turn, pair(two, words(row + ((i + 2) >> up) * c, i + 2 < l->width ? there : 0)));
        before = two;
      }
    }
  }
}

/* An image of dy as A; its sums are added to db. */
static void turn_over(const Layout *l, const half *dy, long image, half *to, float *db) {
  const half *from = dy + image * l->height * l->width * l->outs;
  for (long block = 0; block < l->blocks; block++) {
    const half *p[32];
    for (long i = 0; i < 32; i++) {
      const long at = block * 32 + i, y = at / l->line, j = at % l->line;
      p[i] = y < l->height && j < l->width ? from + (y * l->width + j) * l->outs : zeros;
    }
    for (long outs = 0; outs < l->outs_blocks; outs++) {
      const __mmask16 there = leading(l->outs - 16 * outs);
      half *tile = to + (outs * l->chunk * l->blocks + block) * TILE;
      __m512i r[16];
      __m512 sum = _mm512_loadu_ps(db + 16 * outs);
      for (int i = 0; i < 16; i++) {
        const __m512i even = words(p[2 * i] + 16 * outs, there), odd = words(p[2 * i + 1] + 16 * outs, there);
        sum = _mm512_add_ps(sum, _mm512_add_ps((__m512)_mm512_slli_epi32(even, 16), (__m512)_mm512_slli_epi32(odd, 16)));
        r[i] = pair(even, odd);
      }
      _mm512_storeu_ps(db + 16 * outs, sum);
      transpose(r);
      for (int i = 0; i < 16; i++) _mm512_storeu_si512(tile + 32 * i, r[i]);
    }
  }
}

/* m x n registers of dw, for one tap, over a chunk of images; `fresh`: starting from 0. */
INLINE void square(const Layout *l, long images, const half *a, const half *b, float *c, long down, long right, int fresh, int m, int n) {
  const long across = l->chunk * l->blocks * TILE, beside = l->chunk * l->pairs * 32;
  if (fresh) tiles_zero();
  else tiles_load(c, 16, down, right, m, n);
  for (long image = 0; image < images; image++)
    for (long k = 0; k < l->blocks; k++) {
      const half *at = a + (image * l->blocks + k) * TILE, *bt = b + image * l->pairs * 32 + k * TILE;
      tiles_add(at, at + across, 64, bt, bt + beside, m, n);
    }
  tiles_store(c, 16, down, right, m, n);
}

/* m x 3 registers of dw: one block of channels, the three taps below each other, whose B overlap. A is in 6, B in 7. */
INLINE void column(const Layout *l, long images, const half *a, const half *b, float *c, long down, int fresh, int m) {
  const long across = l->chunk * l->blocks * TILE, below = l->line * 16, next = 3 * SQUARE;
  if (fresh) {
    tiles_zero();
    _tile_zero(4);
    _tile_zero(5);
  } else {
    _tile_loadd(0, c, 64);
    _tile_loadd(1, c + next, 64);
    _tile_loadd(2, c + 2 * next, 64);
    if (m > 1) {
      _tile_loadd(3, c + down, 64);
      _tile_loadd(4, c + down + next, 64);
      _tile_loadd(5, c + down + 2 * next, 64);
    }
  }
  for (long image = 0; image < images; image++)
    for (long k = 0; k < l->blocks; k++) {
      const half *at = a + (image * l->blocks + k) * TILE, *bt = b + image * l->pairs * 32 + k * TILE;
      _tile_loadd(6, at, 64);
      _tile_loadd(7, bt, 64);
      _tile_dpbf16ps(0, 6, 7);
      _tile_loadd(7, bt + below, 64);
      _tile_dpbf16ps(1, 6, 7);
      _tile_loadd(7, bt + 2 * below, 64);
      _tile_dpbf16ps(2, 6, 7);
      if (m > 1) {
        _tile_loadd(6, at + across, 64);
        _tile_dpbf16ps(5, 6, 7);
        _tile_loadd(7, bt + below, 64);
        _tile_dpbf16ps(4, 6, 7);
        _tile_loadd(7, bt, 64);
        _tile_dpbf16ps(3, 6, 7);
      }
    }
  _tile_stored(0, c, 64);
  _tile_stored(1, c + next, 64);
  _tile_stored(2, c + 2 * next, 64);
  if (m > 1) {
    _tile_stored(3, c + down, 64);
    _tile_stored(4, c + down + next, 64);
    _tile_stored(5, c + down + 2 * next, 64);
  }
}

/* dw (blocks of outs, blocks of channels, taps, 16, 16) (+)= the sum over a chunk of images: for 9 taps by columns of
   three, which read half as much as squares; for a single one by squares. */
static void add(const Layout *l, long images, const half *a, const half *b, float *dw, int fresh) {
  const long taps = l->taps, right = taps * SQUARE, down = l->ins_blocks * right, turn = l->ins_blocks * l->chunk * l->pairs * 32;
  for (long c = 0; taps == 9 && c < l->ins_blocks; c++)
    for (long o = 0; o < l->outs_blocks; o += 2)
      for (long k = 0; k < 3; k++) {
        const half *at = a + o * l->chunk * l->blocks * TILE, *bt = b + k * turn + c * l->chunk * l->pairs * 32;
        float *to = dw + o * down + c * right + k * SQUARE;
        if (o + 1 < l->outs_blocks) column(l, images, at, bt, to, down, fresh, 2);
        else column(l, images, at, bt, to, down, fresh, 1);
      }
  for (long c = 0; taps == 1 && c < l->ins_blocks; c += 2)
    for (long o = 0; o < l->outs_blocks; o += 2)
      for (long k = 0; k < taps; k++) {
        const half *at = a + o * l->chunk * l->blocks * TILE;
        const half *bt = b + k % 3 * turn + (c * l->chunk * l->pairs + k / 3 * l->line / 2) * 32;
        float *to = dw + o * down + c * right + k * SQUARE;
        const int m = o + 1 < l->outs_blocks, n = c + 1 < l->ins_blocks;
        if (m && n) square(l, images, at, bt, to, down, right, fresh, 2, 2);
        else if (m) square(l, images, at, bt, to, down, right, fresh, 2, 1);
        else if (n) square(l, images, at, bt, to, down, right, fresh, 1, 2);
        else square(l, images, at, bt, to, down, right, fresh, 1, 1);
      }
}

static long sum_size(const Layout *l) { return l->ins_blocks * l->outs_blocks * l->taps * SQUARE + l->outs_blocks * 16; }

static long share(const Layout *l) { /* in floats */
  return l->chunk * ((l->taps > 1 ? 3 : 1) * l->ins_blocks * l->pairs * 16 + l->outs_blocks * l->blocks * TILE / 2);
}

/* The size of the work space, in floats. */
long amx_gradient_work(long images, long height, long width, long channels, long outs, long taps) {
  Layout l = layout(images, height, width, channels, outs, 0, taps);
  return l.parts * sum_size(&l) + omp_get_max_threads() * share(&l);
}

/* The gradients of the weights, (outs, channels, taps) with outs `step` apart, and of the bias, from x and dy in bf16. */
void amx_gradient(const half *x, const half *dy, float *dw, float *db, float *work, long images, long height,
                  long width, long channels, long outs, long up, long taps, long step) {
  const Layout l = layout(images, height, width, channels, outs, up, taps);
  const long size = sum_size(&l), bias = size - 16 * l.outs_blocks;
  #pragma omp parallel
  {
    half *a = (half *)(work + l.parts * size + omp_get_thread_num() * share(&l)), *b = a + l.chunk * l.outs_blocks * l.blocks * TILE;
    tiles_begin();
    #pragma omp for schedule(static)
    for (long part = 0; part < l.parts; part++) {
      float *sums = work + part * size;
      const long begin = images * part / l.parts, end = images * (part + 1) / l.parts;
      memset(sums + bias, 0, l.outs_blocks * 16 * sizeof(float));
      for (long first = begin; first < end; first += l.chunk) {
        const long some = first + l.chunk < end ? l.chunk : end - first;
        for (long i = 0; i < some; i++) {
          pair_up(&l, x, first + i, b + i * l.pairs * 32);
          turn_over(&l, dy, first + i, a + i * l.blocks * TILE, sums + bias);
        }
        add(&l, some, a, b, sums, first == begin);
      }
    }
    _tile_release();
    #pragma omp for schedule(static)
    for (long o = 0; o < outs; o++) {
      float sum = 0;
      for (long n = 0; n < l.parts; n++) sum += work[n * size + bias + o];
      db[o] = sum;
      for (long c = 0; c < channels; c += 16) {
        const float *from = work + (o / 16 * l.ins_blocks + c / 16) * taps * SQUARE + o % 16 * 16;
        const long there = least(channels - c, 16);
        for (long k = 0; k < taps; k++) {
          float row[16];
          for (long j = 0; j < 16; j++) row[j] = from[k * SQUARE + j];
          for (long n = 1; n < l.parts; n++)
            for (long j = 0; j < 16; j++) row[j] += from[n * size + k * SQUARE + j];
          for (long j = 0; j < there; j++) dw[o * step + (c + j) * taps + k] = row[j];
        }
      }
    }
  }
}

#else

long amx_gradient_work(long images, long height, long width, long channels, long outs, long taps) { return 0; }
void amx_gradient(const half *x, const half *dy, float *dw, float *db, float *work, long images, long height,
                  long width, long channels, long outs, long up, long taps, long step) {}

#endif
