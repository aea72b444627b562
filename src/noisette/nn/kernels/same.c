/* Whether two arrays of floats hold the same bytes. */
#include <string.h>

#define CHUNK 16384 /* floats per chunk of a thread */

long same_bytes(const float *a, const float *b, long n) {
  long different = 0;
  #pragma omp parallel for schedule(static) reduction(+ : different) if (n > 4 * CHUNK)
  for (long i = 0; i < n; i += CHUNK)
    different += memcmp(a + i, b + i, (n - i < CHUNK ? n - i : CHUNK) * sizeof(float)) != 0;
  return different == 0;
}
