"""Kernels in C for the CPU, and the convolution backends that call them."""
