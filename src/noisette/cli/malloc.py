"""The memory allocator's settings for the command line's own processes. The library never changes them."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def tune_malloc() -> None:
    """Let glibc keep memory that a training step frees for the next step.

    By default it returns large blocks to the system, which clears every page again when the next step takes them.
    From now on blocks of up to 32 MB come from the heap, of which up to 1 GB stays. Other C libraries are left alone.
    """
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library; Windows
        return
    mallopt(M_MMAP_THRESHOLD, 32 << 20)
    mallopt(M_TRIM_THRESHOLD, 1 << 30)
