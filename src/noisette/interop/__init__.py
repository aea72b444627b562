"""Other people's formats, in and out: pure functions over tensors and plain values, from tables of names."""
