/* Matrix products in fp32, in register blocks: ROWS rows of a by a panel of two vectors of b.

   `Factor` is one product a b: a is (rows, depth), its rows `step` floats apart; b is (depth, columns) in panels: all of its rows
   for the first PANEL columns, then for the next ones, and so on. Columns are multiples of 16. */
#ifndef PRODUCT_H
#define PRODUCT_H

#include "lanes.h"

#define PANEL (2 * LANES)

typedef struct {
  const float *a;
  long step;
  const float *b;
  long depth;
} Factor;

INLINE long least(long a, long b) { return a < b ? a : b; }

INLINE long up_to(long n, long multiple) { return (n + multiple - 1) / multiple * multiple; }

/* The columns of the panel that begins at column p. */
INLINE long width_of(long p, long columns) { return columns - p < PANEL ? LANES : PANEL; }

/* m = the sum of `count` products, + bias, + onto; for `rows` rows and n vectors. bias and onto may be NULL. */
INLINE void block(const Factor *f, const float *bias, const float *onto, float *m, long to, int count, int rows, int n) {
  vec sum[ROWS][2];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < n; v++) sum[r][v] = bias ? load(bias + v * LANES) : all(0);
  for (int k = 0; k < count; k++) {
    const float *a = f[k].a, *b = f[k].b;
    const long step = f[k].step, depth = f[k].depth;
    for (long i = 0; i < depth; i++) {
      vec c[2];
      for (int v = 0; v < n; v++) c[v] = load(b + (i * n + v) * LANES);
      for (int r = 0; r < rows; r++)
        for (int v = 0; v < n; v++) sum[r][v] += a[r * step + i] * c[v];
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < n; v++) {
      if (onto) sum[r][v] += load(onto + r * to + v * LANES);
      store(m + r * to + v * LANES, sum[r][v]);
    }
}

typedef void (*Block)(const Factor *, const float *, const float *, float *, long);
#define BLOCK(name, count, rows, n) \
  static void name(const Factor *f, const float *bias, const float *onto, float *m, long to) { block(f, bias, onto, m, to, count, rows, n); }
BLOCK(one_full_narrow, 1, ROWS, 1)
BLOCK(one_full_wide, 1, ROWS, 2)
BLOCK(one_rest_narrow, 1, REST, 1)
BLOCK(one_rest_wide, 1, REST, 2)
BLOCK(one_row_narrow, 1, 1, 1)
BLOCK(one_row_wide, 1, 1, 2)
BLOCK(two_full_narrow, 2, ROWS, 1)
BLOCK(two_full_wide, 2, ROWS, 2)
BLOCK(two_rest_narrow, 2, REST, 1)
BLOCK(two_rest_wide, 2, REST, 2)
BLOCK(two_row_narrow, 2, 1, 1)
BLOCK(two_row_wide, 2, 1, 2)
static const Block blocks[2][3][2] = {
  {{one_full_narrow, one_full_wide}, {one_rest_narrow, one_rest_wide}, {one_row_narrow, one_row_wide}},
  {{two_full_narrow, two_full_wide}, {two_rest_narrow, two_rest_wide}, {two_row_narrow, two_row_wide}},
};

/* m = the sum of one or two products, + bias, + onto; the rows of m and onto are `to` floats apart. The value of
   an element of m does not depend on the number of rows. */
static void multiply(const Factor *f, int count, const float *bias, const float *onto, float *m, long to, long rows, long columns) {
  for (long p = 0; p < columns; p += PANEL)
    for (long r = 0, n; r < rows; r += n) {
      const int kind = rows - r >= ROWS ? 0 : rows - r >= REST ? 1 : 2;
      const long at = r * to + p;
      Factor g[2];
      for (int k = 0; k < count; k++) g[k] = (Factor){f[k].a + r * f[k].step, f[k].step, f[k].b + p * f[k].depth, f[k].depth};
      blocks[count - 1][kind][width_of(p, columns) > LANES](g, bias ? bias + p : 0, onto ? onto + at : 0, m + at, to);
      n = kind == 0 ? ROWS : kind == 1 ? REST : 1;
    }
}

/* m (+)= a' z, for `rows` columns of a and n vectors of z: a is (depth, ...), z is (depth, ...). */
INLINE void block_of_columns(const float *a, long astep, const float *z, long zstep, float *m, long to, long depth, int more, int rows, int n) {
  vec sum[ROWS][2];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < n; v++) sum[r][v] = more ? load(m + r * to + v * LANES) : all(0);
  for (long i = 0; i < depth; i++) {
    vec b[2];
    for (int v = 0; v < n; v++) b[v] = load(z + i * zstep + v * LANES);
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < n; v++) sum[r][v] += a[i * astep + r] * b[v];
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < n; v++) store(m + r * to + v * LANES, sum[r][v]);
}

typedef void (*Columns)(const float *, long, const float *, long, float *, long, long, int);
#define COLUMNS(name, rows, n) \
  static void name(const float *a, long as, const float *z, long zs, float *m, long to, long depth, int more) { \
    block_of_columns(a, as, z, zs, m, to, depth, more, rows, n); \
  }
COLUMNS(columns_full_narrow, ROWS, 1)
COLUMNS(columns_full_wide, ROWS, 2)
COLUMNS(columns_rest_narrow, REST, 1)
COLUMNS(columns_rest_wide, REST, 2)
static const Columns column_blocks[2][2] = {{columns_full_narrow, columns_full_wide}, {columns_rest_narrow, columns_rest_wide}};

/* m (+)= a' z: m is (rows, columns), both multiples of 16. */
static void multiply_columns(const float *a, long astep, const float *z, long zstep, float *m, long to, long depth, int more, long rows, long columns) {
  for (long p = 0; p < columns; p += PANEL)
    for (long r = 0, n; r < rows; r += n) {
      const int rest = rows - r < ROWS;
      column_blocks[rest][width_of(p, columns) > LANES](a + r, astep, z + p, zstep, m + r * to + p, to, depth, more);
      n = rest ? REST : ROWS;
    }
}

/* Copy x (depth, columns) into panels. */
INLINE void as_rows(const float *x, long step, long depth, long columns, float *b) {
  for (long p = 0; p < columns; p += PANEL) {
    const long width = width_of(p, columns);
    for (long i = 0; i < depth; i++, b += width)
      for (long v = 0; v < width; v += LANES) store(b + v, load(x + i * step + p + v));
  }
}

/* Copy x (rows, depth), transposed, into panels, padded with zeros to `columns`. */
INLINE void as_columns(const float *x, long step, long rows, long columns, long depth, float *b) {
  for (long p = 0; p < columns; p += PANEL) {
    const long width = width_of(p, columns);
    for (long v = 0; v < width; v++)
      for (long i = 0; i < depth; i++) b[i * width + v] = p + v < rows ? x[(p + v) * step + i] : 0;
    b += depth * width;
  }
}

#endif
