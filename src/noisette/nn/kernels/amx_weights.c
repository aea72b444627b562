/* Repacks fp32 weights as the B of matrix products on tiles (amx.h): in bf16,

     (panels of 32 outs, taps, blocks of 32 channels, 1 or 2 tiles of 16 outs, 16 pairs of channels, 16 outs, 2)

   with channels padded with zeros to a multiple of 32, and outs to a multiple of 16. `back` has outs and channels
   exchanged and the taps in reverse: the weights of the convolution that computes the gradient of x. */
#include <omp.h>

#include "amx.h"

#ifdef AMX

long amx_weights_size(long channels, long outs, long taps) { return taps * up_to(channels, 32) * up_to(outs, 16); }

/* The offset of the tile with output channel o, a multiple of 16, and channel c, a multiple of 32. */
INLINE half *tile_of(half *u, long o, long c, long k, long channels, long outs, long taps) {
  const long deep = up_to(channels, 32), wide = up_to(outs, 16), panel = o / PANEL * PANEL, n = wide - panel < PANEL ? 1 : 2;
  return u + panel * taps * deep + ((k * deep + c) / 32 * n + (o - panel) / 16) * TILE;
}

/* w is (outs, channels, taps), the outs `step` apart; u or back may be NULL. */
void amx_weights(const float *w, half *u, half *back, long channels, long outs, long taps, long step) {
  const long rows = up_to(outs, 32), columns = up_to(channels, 32);
  __m512i index = _mm512_mullo_epi32(_mm512_set1_epi32(taps), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  #pragma omp parallel for schedule(static)
  for (long o = 0; o < rows; o += 16)
    for (long c = 0; c < columns; c += 32)
      for (long k = 0; k < taps; k++) {
        half block[16][32]; /* outs, channels */
        __m512i r[16];
        for (long i = 0; i < 16; i++)
          for (long j = 0; j < 32; j += 16) {
            const __mmask16 there = o + i < outs && c + j < channels ? leading(channels - c - j) : 0;
            narrow(block[i] + j, (vec)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), there, index, w + (o + i) * step + (c + j) * taps + k, 4));
          }
        if (u && o < up_to(outs, 16)) {
          half *tile = tile_of(u, o, c, k, channels, outs, taps);
          for (long i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(block[i]);
          transpose(r);
          for (long i = 0; i < 16; i++) _mm512_storeu_si512(tile + 32 * i, r[i]);
        }
        for (long j = 0; back && j < 32 && c + j < up_to(channels, 16); j += 16) {
          half *tile = tile_of(back, c + j, o / 32 * 32, taps - 1 - k, outs, channels, taps) + o % 32 / 2 * 32;
          for (long i = 0; i < 16; i += 2) _mm512_storeu_si512(tile + 16 * i, pair(words(block[i] + j, -1), words(block[i + 1] + j, -1)));
        }
      }
}

#else

long amx_weights_size(long channels, long outs, long taps) { return 0; }
void amx_weights(const float *w, half *u, half *back, long channels, long outs, long taps, long step) {}

#endif
