/* The 3 x 3 convolution with padding 1 in bf16, as matrix products on tiles (amx.h).

     y[p, o] = bias[o] + onto[p, o] + sum over taps k and channels c of x[p + k, c] w[o, c, k]

   x, y and onto are bf16, (images, height, width, channels): NHWC; bias and w are fp32. With up = 1, x has half the
   height and width, and each of its pixels stands for 2 x 2. Any number of channels is possible: internally it is
   padded with zeros to a multiple of 32.

   Images are processed in groups. If the width is a multiple of 16, an image is copied to the work space with a border
   of zeros; 16 pixels of a row, shifted by a tap, are then the 16 rows of A. Otherwise there are three copies of it,
   shifted by -1, 0 and 1, without zeros between the rows, so that any 16 consecutive pixels are rows of A. */
#include <omp.h>

#include "amx.h"

#ifdef AMX
#include <sys/syscall.h>
#include <unistd.h>

/* Whether this processor has tiles and the operating system permits their use. */
long amx_ready(void) {
  const long request = 0x1023, tile_data = 18; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
  return __builtin_cpu_supports("avx512bw") && syscall(SYS_arch_prctl, request, tile_data) == 0;
}

typedef struct {
  long images, height, width, channels, outs, up;
  long deep;                              /* channels, with padding */
  long copies, pitch, copy, image, tiles; /* copies of an image; pixels of a row, of a copy, and of all copies; tiles */
  long group;                             /* images worked on together */
} Layout;

static Layout layout(long images, long height, long width, long channels, long outs, long up) {
  Layout l = {.images = images, .height = height, .width = width, .channels = channels, .outs = outs, .up = up};
  l.deep = up_to(channels, 32);
  l.copies = width % 16 ? 3 : 1;
  l.pitch = l.copies == 1 ? width + 2 : width;
  l.copy = (height + 2) * l.pitch + 16;
  l.image = l.copies * l.copy;
  l.tiles = l.copies == 1 ? height * width / 16 : (height * width + 15) / 16;
  l.group = (8 + l.tiles - 1) / l.tiles;
  return l;
}

/* Copy an image to the work space. */
static void spread(const Layout *l, const half *x, long image, half *to) {
  const long h = l->height >> l->up, w = l->width >> l->up, bytes = l->channels * sizeof(half), dense = l->deep == l->channels;
  for (long copy = 0; copy < l->copies; copy++, to += l->copy * l->deep) {
    const long shift = l->copies == 1 ? -1 : copy - 1;
    memset(to, 0, l->pitch * l->deep * sizeof(half));
    memset(to + (l->height + 1) * l->pitch * l->deep, 0, (l->pitch + 16) * l->deep * sizeof(half));
    for (long y = 0; y < l->height; y++) {
      const half *from = x + (image * h + (y >> l->up)) * w * l->channels;
      half *row = to + (y + 1) * l->pitch * l->deep;
      const long first = shift < 0 ? 1 : 0, last = l->width - shift < l->pitch ? l->width - shift : l->pitch;
      if (first) memset(row, 0, l->deep * sizeof(half));
      if (last < l->pitch) memset(row + last * l->deep, 0, (l->pitch - last) * l->deep * sizeof(half));
      if (dense && !l->up)
        memcpy(row + first * l->deep, from + (first + shift) * l->channels, (last - first) * bytes);
      else
        for (long j = first; j < last; j++) {
          memcpy(row + j * l->deep, from + ((j + shift) >> l->up) * l->channels, bytes);
          memset(row + j * l->deep + l->channels, 0, (l->deep - l->channels) * sizeof(half));
        }
    }
  }
}

/* m x n registers: the tiles of pixels that begin at a[0] and a[1] of the center tap's array. */
INLINE void square(const Layout *l, const half *const *a, const half *u, float *c, int m, int n) {
  const long deep = l->deep, copy = l->copies == 3 ? l->copy : 1;
  tiles_zero();
  for (long ky = 0; ky < 3; ky++)
    for (long kx = 0; kx < 3; kx++) {
      const long at = (ky * l->pitch + kx * copy) * deep;
      for (long i = 0; i < deep; i += 32, u += n * TILE) tiles_add(a[0] + at + i, a[1] + at + i, 2 * deep, u, u + TILE, m, n);
    }
  tiles_store(c, 16, 2 * SQUARE, SQUARE, m, n);
}

static long share(const Layout *l) { return l->group * l->image * l->deep; }

/* The size of the work space, in bf16 values. */
long amx_work(long images, long height, long width, long channels, long outs) {
  Layout l = layout(images, height, width, channels, outs, 0);
  return omp_get_max_threads() * share(&l);
}

/* The panels p to q of output channels, for the images of a group. */
static void convolve(const Layout *l, const half *work, const half *u, const float *bias, const half *onto, half *y,
                     long image, long images, long p, long q) {
  const long pixels = l->height * l->width, across = l->width / 16, tiles = l->tiles, wide = up_to(l->outs, 16);
  for (; p < q; p += PANEL) {
    const int n = wide - p < PANEL ? 1 : 2;
    float c[4 * SQUARE] __attribute__((aligned(64)));
    for (long t = 0; t < images * tiles; t += 2) {
      const int m = t + 1 < images * tiles ? 2 : 1;
      const half *a[2] = {work, work};
      for (int i = 0; i < m; i++) {
        const long tile = (t + i) % tiles, pixel = l->copies == 1 ? tile / across * l->pitch + tile % across * 16 : tile * 16;
        a[i] = work + ((t + i) / tiles * l->image + pixel) * l->deep;
      }
      const half *v = u + p * 9 * l->deep;
      if (m == 2 && n == 2) square(l, a, v, c, 2, 2);
      else if (m == 2) square(l, a, v, c, 2, 1);
      else if (n == 2) square(l, a, v, c, 1, 2);
      else square(l, a, v, c, 1, 1);
      for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
          const long tile = (t + i) % tiles, o = p + 16 * j;
          const long at = ((image + (t + i) / tiles) * pixels + tile * 16) * l->outs + o;
          finish(c + (2 * i + j) * SQUARE, least(pixels - tile * 16, 16), l->outs - o, bias ? bias + o : 0, onto ? onto + at : 0, y + at, l->outs);
        }
    }
  }
}

/* bias and onto may be NULL. */
void amx(const half *x, const half *u, const float *bias, const half *onto, half *y, half *work, long images,
         long height, long width, long channels, long outs, long up) {
  Layout l = layout(images, height, width, channels, outs, up);
  const long groups = (images + l.group - 1) / l.group, panels = (outs + PANEL - 1) / PANEL;
  /* output channels are split between threads if there are few groups */
  const long splits = least(panels, (omp_get_max_threads() + groups - 1) / groups);
  #pragma omp parallel
  {
    half *mine = work + omp_get_thread_num() * share(&l);
    tiles_begin();
    #pragma omp for schedule(static)
    for (long i = 0; i < groups * splits; i++) {
      const long first = i / splits * l.group, last = least(first + l.group, images), split = i % splits;
      for (long image = first; image < last; image++) spread(&l, x, image, mine + (image - first) * l.image * l.deep);
      convolve(&l, mine, u, bias, onto, y, first, last - first, panels * split / splits * PANEL, panels * (split + 1) / splits * PANEL);
    }
    _tile_release();
  }
}

#else

long amx_ready(void) { return 0; }
long amx_work(long images, long height, long width, long channels, long outs) { return 0; }
void amx(const half *x, const half *u, const float *bias, const half *onto, half *y, half *work, long images,
         long height, long width, long channels, long outs, long up) {}

#endif
